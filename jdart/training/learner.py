"""What is trained for a style and by which loss: DreamBooth with prior preservation, on LoRA adapters.

Source: Ruiz et al., DreamBooth, 2208.12242; a style token beside the adapters: Gal et al., 2208.01618.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import jittor as jt
import numpy as np

from contest.errors import UserError
from jdart.config import Config
from jdart.config.sections.lora import fits, one_by_one
from jdart.data.seeds import rng_for
from jdart.image_prompts.learning import LearntAdapter
from jdart.lora.layers import Adapter, inject, remove
from jdart.lora.noise_ranks import masked
from jdart.lora.pairs import LoraPair
from jdart.lora.start import Start
from jdart.lora.token import StyleToken, initial_vectors
from jdart.models.build import Base
from jdart.models.recompute import recomputed
from jdart.training.batches import make_batch
from jdart.training.captions import Texts
from jdart.training.examples import Examples
from jdart.training.losses import style_loss
from jdart.training.lr import loraplus_ratio
from jdart.training.timesteps import Timesteps


@dataclass(frozen=True)
class Trainable:
    """A variable that the optimiser moves: its name in a checkpoint, and its learning rate before the schedule."""

    name: str
    value: jt.Var
    learning_rate: float


class Learner:
    """A base model with adapters, and perhaps a style token, to be trained on one style.

    Every random draw comes from (seed, style, number of the micro-batch), so that a loss is the same whatever was
    computed before it. `close` puts the base back as it was.
    """

    def __init__(
        self,
        base: Base,
        config: Config,
        style: str,
        instance: Examples,
        prior: Examples | None,
        start: Start | None = None,
        looks: np.ndarray | None = None,
    ):
        """`looks` (N, C) are the features of the style's pictures, with which train.ip_adapter prompts."""
        self.base, self.config, self.style = base, config, style
        self.instance, self.prior = instance, prior
        self.timesteps = Timesteps(config.train, base.schedule)
        self.token: StyleToken | None = None
        start = Start() if start is None else start
        if config.token is not None:
            words = initial_vectors(base, config.token) if start.words is None else start.words
            self.token = StyleToken(base, config.token.placeholder, words)
        self.adapters = self._inject(start)
        self.within = ExitStack()
        count = base.schedule.num_train_timesteps
        self.within.enter_context(masked(base.unet, self.adapters.get("unet", {}), config.lora.rank_by_noise, count))
        self.images: LearntAdapter | None = None
        if config.train.ip_adapter is not None and looks is not None:
            rng = rng_for("ip_adapter", config.seed, style)
            self.images = LearntAdapter(base, looks, config.train.ip_adapter, rng)
            self.within.callback(self.images.close)
        if config.memory.gradient_checkpointing:
            self.within.enter_context(recomputed(base.unet))
        self.texts = Texts(base, config.frozen_text, [instance, *([] if prior is None else [prior])])

    def _inject(self, start: Start) -> Mapping[str, Mapping[str, Adapter]]:
        """Adapters by network and layer: on the UNet and, if asked for, on the text encoder."""
        adapters = {}
        for name, settings in (("unet", self.config.lora), ("text_encoder", self.config.text_encoder_lora)):
            if settings.r > 0:
                rng = rng_for("lora", self.config.seed, self.style, name)
                adapters[name] = inject(getattr(self.base, name), settings, rng, start.pairs.get(name))
                for adapter in adapters[name].values():
                    adapter.train()
        return adapters

    def close(self) -> None:
        """Put the plain layers back, and give the memory of the gradients back: drawing needs some too."""
        self.within.close()
        for name, layers in self.adapters.items():
            remove(getattr(self.base, name), layers)
        if self.token is not None:
            self.token.close()
        jt.gc()

    @property
    def trainables(self) -> tuple[Trainable, ...]:
        """Everything that is trained, always in the same order."""
        settings = self.config.train
        found = []
        for name, layers in self.adapters.items():
            rate = settings.learning_rate
            if name == "text_encoder" and settings.text_encoder_learning_rate is not None:
                rate = settings.text_encoder_learning_rate
            for layer, adapter in layers.items():
                ratio = loraplus_ratio(settings, adapter.width, adapter.rank)
                found.append(Trainable(f"{name}.{layer}.lora_A", adapter.lora_A, rate))
                found.append(Trainable(f"{name}.{layer}.lora_B", adapter.lora_B, rate * ratio))
                if adapter.lora_magnitude_vector is not None:
                    magnitude = adapter.lora_magnitude_vector
                    found.append(Trainable(f"{name}.{layer}.lora_magnitude_vector", magnitude, rate))
        if self.token is not None and self.config.token is not None:
            found.append(Trainable("token", self.token.vectors, self.config.token.learning_rate))
        if self.images is not None:
            rate = self.images.settings.learning_rate
            found += [Trainable(name, value, rate) for name, value in self.images.values.items()]
        return tuple(found)

    def pairs(self) -> dict[str, dict[str, LoraPair]]:
        """The adapters as they are now, by network and layer."""
        return {
            name: {layer: adapter.pair() for layer, adapter in some.items()} for name, some in self.adapters.items()
        }

    def learnt_words(self) -> tuple[str, np.ndarray] | None:
        """The style token as it is now: placeholder and vectors (vectors, D)."""
        return None if self.token is None else (self.token.placeholder, self.token.vectors.numpy())

    def learnt_adapter(self) -> dict[str, np.ndarray] | None:
        """The IP-Adapter as it is now: the tensors of its file."""
        return None if self.images is None else {name: value.numpy() for name, value in self.images.values.items()}

    def require_trained(self) -> None:
        """Raise UserError when training left every adapter of a target as it was: B starts from zero and must move.

        A single layer may stay at zero for an honest reason (attention over one pixel has no gradient in its queries),
        all layers of one target cannot.
        """
        for name, settings in (("unet", self.config.lora), ("text_encoder", self.config.text_encoder_lora)):
            layers = self.adapters.get(name, {})
            for target, alone in one_by_one(settings.target_modules).items():
                found = [adapter for layer, adapter in layers.items() if fits(layer, alone)]
                if found and not any(adapter.lora_B.numpy().any() for adapter in found):
                    raise UserError(
                        f"style {self.style}: training moved no adapter of {name} {target}; "
                        "leave it out of target_modules, or raise the learning rate"
                    )

    def loss(self, number: int) -> jt.Var:
        """The loss of micro-batch `number`, counted over the whole run.

        MSE(instance) + weight * MSE(prior) with prior preservation, one MSE over all pictures otherwise; plus the
        style loss of the style's own pictures at low noise, if it is asked for.
        """
        base, settings = self.base, self.config.train
        batch = make_batch(self.config, self.style, self.instance, self.prior, number)

        def draw(purpose: str) -> np.random.Generator:
            return rng_for(purpose, self.config.seed, self.style, number)

        shape = batch.means.shape
        latents = batch.means + batch.deviations * draw("vae sample").standard_normal(shape, np.float32)
        noise = draw("noise").standard_normal(shape, np.float32)
        if settings.noise_offset > 0:
            level = draw("noise offset").standard_normal((*shape[:2], 1, 1), np.float32)
            noise = noise + np.float32(settings.noise_offset) * level
        timesteps = self.timesteps.draw(draw("timestep"), len(latents))
        target = base.schedule.target(latents, noise, timesteps)

        context = self.texts(batch.captions)
        if self.images is not None:
            context = self.images.beside(context, batch.instances, draw("image prompt"))
        if any(adapter.dropout > 0 for layers in self.adapters.values() for adapter in layers.values()):
            jt.set_seed(int(draw("dropout").integers(2**31)))
        noisy = base.schedule.add_noise(latents, noise, timesteps)
        output = base.unet(jt.array(noisy), timesteps, context)
        error = output - jt.array(target)
        squared = error * error
        if settings.snr_gamma is not None:
            squared = squared * base.schedule.min_snr_weights(timesteps, settings.snr_gamma).reshape(-1, 1, 1, 1)
        if self.prior is None or self.config.prior.mixture > 0:
            loss = squared.mean()
        else:
            loss = squared[: batch.instances].mean() + self.config.prior.weight * squared[batch.instances :].mean()
        rows = np.flatnonzero(timesteps[: batch.instances] < settings.style_loss_max_timestep)
        if settings.style_loss_weight > 0 and len(rows) > 0:
            predicted, _ = base.schedule.predict_x0_eps(output, jt.array(noisy), timesteps)
            total = style_loss(base.vae, predicted, latents, [int(row) for row in rows])
            loss = loss + settings.style_loss_weight / batch.instances * total
        return loss
