"""Draw pictures: text, noise and, if asked for, an average picture in; pictures out, one by one."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from types import MappingProxyType

import jittor as jt
import numpy as np

from jdart.config import GenerateConfig
from jdart.data.pictures import to_model_range
from jdart.generation.attention.sharing import shared_attention
from jdart.generation.attention.styleblend import Blending, Composition, two_branches
from jdart.generation.batch import Batch, Request
from jdart.generation.colour.edits import colour_edits
from jdart.generation.colour.leak import Leak
from jdart.generation.guided import Guided
from jdart.generation.references import References
from jdart.generation.samplers import Model, sampling_plan
from jdart.generation.start import Ground, Moments, first_latent
from jdart.generation.steering import Edit, steered
from jdart.image_prompts.prompt import ImagePrompt, beside
from jdart.models.build import Base
from jdart.models.cut import warn_of_cut
from jdart.models.encode import encode_text


def draw(
    base: Base,
    requests: Sequence[Request],
    settings: GenerateConfig,
    size: int,
    average: np.ndarray | None,
    pictures: Mapping[str, np.ndarray] = MappingProxyType({}),
    composition: Composition | None = None,
    images: ImagePrompt | None = None,
    interval: int = 1,
) -> Generator[tuple[Request, np.ndarray], None, None]:
    """Yield (request, picture) with pictures of (size, size, 3) uint8, in order.

    `average` (size, size, 3) uint8 starts each picture from a noisy copy of it, as `settings.strength` says. `pictures`
    (size, size, 3) uint8 are the style's by their file names, where the settings look at them (`looks_at_references`).
    `images` prompt beside the text; the base must be `prompted` with them. With an `interval` above 1 the pictures are
    drafts: the UNet's deep layers are calculated in every `interval`-th call.

    A picture depends on its request and never on the others; the size of its batch, and its place in it, decide the
    last digits of a float and so, in a pixel here and there, one grey level.
    """
    with jt.no_grad(), two_branches(base, composition, settings.style_blend) as blending:
        easel = Easel(base, requests, settings, size, average, pictures, images=images, interval=interval)
        for some in batches_of(requests, settings.batch_size):
            batch = easel.batch(some, blending)
            batch.advance()
            yield from zip(some, batch.pictures())


def batches_of(requests: Sequence[Request], size: int) -> list[Sequence[Request]]:
    """Requests as they are drawn together."""
    return [requests[first : first + size] for first in range(0, len(requests), size)]


class Easel:
    """What requests of equal settings are drawn with: looked up and calculated once, for all of their batches."""

    def __init__(
        self,
        base: Base,
        requests: Sequence[Request],
        settings: GenerateConfig,
        size: int,
        average: np.ndarray | None,
        pictures: Mapping[str, np.ndarray],
        looks: Sequence[Edit] = (),
        images: ImagePrompt | None = None,
        interval: int = 1,
    ):
        """`looks` see the predicted latents in every step, after all edits."""
        self.base, self.settings, self._images, self._interval = base, settings, images, interval
        self.plan = sampling_plan(
            base.schedule, settings.sampler, settings.steps, None if average is None else settings.strength
        )
        references = References(base, pictures)
        self._start = ground(base, settings, average, references)
        self._edits = [*_edits(settings, references), *looks]
        self._sharing = shared_attention(base, self.plan, settings, references)
        self._text = embeddings(base, requests, settings)
        side = size // base.vae.config.factor
        self._shape = (base.unet.config.in_channels, side, side)

    def batch(self, requests: Sequence[Request], blending: Blending | None) -> Batch:
        """Some of the requests, with nothing drawn yet."""
        settings, plan = self.settings, self.plan
        context = np.stack([self._fused(r.prompt, r.plain) for r in requests])
        negative = np.stack([self._fused(settings.negative_prompt, "")] * len(requests))
        if self._images is not None:
            context, negative = beside(context, self._images.tokens), beside(negative, self._images.without)
        guided = Guided(self.base, context, negative, settings, plan.calls, self._interval)
        model: Model = guided
        latents = jt.array(np.stack([first_latent(plan, r.seed, self._shape, self._start) for r in requests]))
        if blending is not None:
            texts = [str(r.composition) for r in requests]
            model = blending.guided(plan, texts, context, negative, settings, self._interval)
            latents = jt.concat([latents, latents])
        model = steered(self._sharing(model), plan, self._edits)
        return Batch(self.base.vae, plan, requests, model, latents, guided.narrow)

    def _fused(self, styled: str, plain: str | None) -> np.ndarray:
        return _fused(self._text, styled, plain, self.settings.origin_scale)


def _edits(settings: GenerateConfig, references: References) -> list[Edit]:
    """What changes the predicted picture on the way, in this order."""
    return [] if settings.colour is None else colour_edits(settings.colour, references)


def ground(base: Base, settings: GenerateConfig, average: np.ndarray | None, references: References) -> Ground:
    """What lies under the noise at the start: a signal of the references', else `average`, else nothing."""
    if settings.start is not None:
        return Leak(references.latents, settings.start)
    return None if average is None else moments(base, average)


def moments(base: Base, picture: np.ndarray) -> Moments:
    """Mean and deviation of what the autoencoder makes of a picture (S, S, 3) uint8."""
    with jt.no_grad():
        mean, deviation = base.vae.encode(jt.array(to_model_range(picture)[None]))
        return mean.numpy(), deviation.numpy()


def embeddings(base: Base, requests: Sequence[Request], settings: GenerateConfig) -> dict[str, np.ndarray]:
    """Every text that `requests` need -> (77, D) float32, each encoded once and by itself.

    By itself: in a batch the last digits of an embedding would depend on what else is drawn.
    """
    named = [("the negative prompt", settings.negative_prompt), *(("the prompt", r.prompt) for r in requests)]
    if settings.origin_scale > 0:
        named += [("the prompt without the style", r.plain) for r in requests if r.plain is not None]
    warn_of_cut(base, ((f"{what} {text[:40]!r}", text) for what, text in named))
    texts = [settings.negative_prompt, *(request.prompt for request in requests)]
    if settings.origin_scale > 0:
        texts += ["", *(request.plain for request in requests if request.plain is not None)]
    return {text: encode_text(base, base.tokens([text]))[0] for text in dict.fromkeys(texts)}


def _fused(text: Mapping[str, np.ndarray], styled: str, plain: str | None, origin_scale: float) -> np.ndarray:
    """Prompt fusion: (1 - w) TE(styled) + w TE(plain). The plain counterpart of a negative prompt is the empty one."""
    if origin_scale == 0:
        return text[styled]
    if plain is None:
        raise ValueError("origin_scale above 0 needs the plain text of every request")
    return text[styled] * np.float32(1 - origin_scale) + text[plain] * np.float32(origin_scale)
