"""DreamBooth LoRA training: loss, gradients, update. A generator that yields a record a step.

Source: Ruiz et al., DreamBooth, 2208.12242; diffusers' train_dreambooth_lora for the order of things.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import jittor as jt
import numpy as np

from jdart.config import Config
from jdart.data import rng_for
from jdart.examples import Examples
from jdart.lora import LoraLinear, LoraPair, inject, remove
from jdart.lr import lr_factor
from jdart.models.build import Base
from jdart.optim import AdamW, clip_by_norm
from submission.errors import UserError

Adapters = Mapping[str, Mapping[str, LoraLinear]]  # network -> layer -> adapter


@dataclass(frozen=True)
class StepRecord:
    """One update: number from 1, mean loss, learning rate, gradient norm before clipping."""

    step: int
    loss: float
    learning_rate: float
    gradient_norm: float


def add_adapters(base: Base, config: Config, style: str) -> Adapters:
    """Fresh adapters on the UNet and, if asked for, on the text encoder."""
    adapters = {}
    for name, settings in (("unet", config.lora), ("text_encoder", config.text_encoder_lora)):
        if settings.rank > 0:
            rng = rng_for("lora", config.seed, style, name)
            network = getattr(base, name)
            adapters[name] = inject(
                network, settings.rank, settings.scale_alpha, settings.targets, settings.dropout, rng
            )
            for adapter in adapters[name].values():
                adapter.train()
    return adapters


def take_adapters(base: Base, adapters: Adapters) -> dict[str, dict[str, LoraPair]]:
    """The trained pairs; the base is as it was before `add_adapters`."""
    for name, layers in adapters.items():
        remove(getattr(base, name), layers)
    pairs = {name: {layer: adapter.pair() for layer, adapter in layers.items()} for name, layers in adapters.items()}
    jt.gc()  # the memory of the gradients: Jittor would keep it, and drawing needs some too
    return pairs


def train(
    base: Base, adapters: Adapters, instance: Examples, prior: Examples | None, config: Config, style: str
) -> Iterator[StepRecord]:
    """Train `adapters` in place for `config.train.steps` updates.

    Every random draw comes from (seed, style, step), so that a step is the same whatever came before it. With
    `prior`, every batch holds as many prior as instance pictures, and the loss is MSE(instance) + weight *
    MSE(prior). Raises UserError when the loss is no longer a number.
    """
    settings = config.train
    parameters, rates = [], []
    for name, layers in adapters.items():
        own = settings.text_encoder_learning_rate if name == "text_encoder" else None
        for adapter in layers.values():
            parameters += [adapter.lora_A, adapter.lora_B]
            rates += [1.0 if own is None else own / settings.learning_rate] * 2
    optimiser = AdamW(
        parameters,
        (settings.adam_beta1, settings.adam_beta2),
        settings.adam_epsilon,
        settings.adam_weight_decay,
    )
    passes = settings.gradient_accumulation_steps
    for step in range(settings.steps):
        gradients: list[jt.Var] = []
        total = 0.0
        for micro in range(passes):
            loss = _loss(base, adapters, instance, prior, config, style, step * passes + micro) / passes
            fresh = jt.grad(loss, parameters)
            gradients = [a + b for a, b in zip(gradients, fresh)] if gradients else fresh
            jt.sync([loss, *gradients])
            total += loss.item()
        if not np.isfinite(total):
            raise UserError(f"style {style}: the loss is {total} at step {step + 1}; lower train.learning_rate")
        gradients, norm = clip_by_norm(gradients, settings.max_grad_norm)
        factor = lr_factor(settings.lr_scheduler, step, settings.lr_warmup_steps, settings.steps)
        rate = settings.learning_rate * factor
        optimiser.step(gradients, [rate * scale for scale in rates])
        jt.sync([norm, *optimiser.state, *parameters])
        yield StepRecord(step + 1, total, rate, norm.item())


def _loss(
    base: Base,
    adapters: Adapters,
    instance: Examples,
    prior: Examples | None,
    config: Config,
    style: str,
    number: int,
) -> jt.Var:
    """The loss of micro-batch `number`, counted over the whole run."""
    size = config.train.batch_size
    first = number * size + np.arange(size)
    parts = [(instance, first % len(instance))]
    if prior is not None:
        parts.append((prior, first % len(prior)))
    means = np.concatenate([examples.means[rows] for examples, rows in parts])  # B,4,h,w
    deviations = np.concatenate([examples.deviations[rows] for examples, rows in parts])

    def draw(purpose: str) -> np.random.Generator:
        return rng_for(purpose, config.seed, style, number)

    latents = means + deviations * draw("vae sample").standard_normal(means.shape, np.float32)
    noise = draw("noise").standard_normal(means.shape, np.float32)
    timesteps = draw("timestep").integers(base.schedule.num_train_timesteps, size=len(means))
    target = base.schedule.target(latents, noise, timesteps)

    if "text_encoder" in adapters:
        tokens = np.concatenate([examples.tokens[rows] for examples, rows in parts])
        context = base.text_encoder(jt.array(tokens))
    else:
        context = jt.array(np.concatenate([examples.contexts[rows] for examples, rows in parts]))  # type: ignore[index]
    if any(adapter.dropout > 0 for layers in adapters.values() for adapter in layers.values()):
        jt.set_global_seed(int(draw("dropout").integers(2**31)))
    noisy = base.schedule.add_noise(latents, noise, timesteps)
    error = base.unet(jt.array(noisy), timesteps, context) - jt.array(target)
    squared = error * error
    if prior is None:
        return squared.mean()
    return squared[:size].mean() + config.prior.weight * squared[size:].mean()
