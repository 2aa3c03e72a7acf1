"""Draw pictures: text, noise and, if asked for, an average picture in; pictures out, one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import jittor as jt
import numpy as np

from jdart.config import GenerateConfig
from jdart.data.pictures import to_model_range, to_pixels
from jdart.generation.guided import Guided
from jdart.generation.references import References
from jdart.generation.samplers import sampling_plan
from jdart.generation.start import Moments, first_latent
from jdart.generation.steering import Edit, steered
from jdart.models.build import Base
from jdart.models.cut import warn_of_cut
from jdart.models.encode import encode_text


@dataclass(frozen=True)
class Request:
    """One picture to draw: its name, the text it is drawn from and its own seed.

    `plain` is the text without the style, which `origin_scale` above 0 mixes in.
    """

    name: str
    prompt: str
    seed: int
    plain: str | None = None


def draw(
    base: Base,
    requests: Sequence[Request],
    settings: GenerateConfig,
    size: int,
    average: np.ndarray | None,
    pictures: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> Iterator[tuple[Request, np.ndarray]]:
    """Yield (request, picture) with pictures of (size, size, 3) uint8, in order.

    `average` (size, size, 3) uint8 starts each picture from a noisy copy of it, as `settings.strength` says. `pictures`
    (size, size, 3) uint8 are the style's by their file names, where the settings look at them (`looks_at_references`).

    A picture depends on its request and never on the others; the size of its batch, and its place in it, decide the
    last digits of a float and so, in a pixel here and there, one grey level.
    """
    plan = sampling_plan(
        base.schedule, settings.sampler, settings.steps, None if average is None else settings.strength
    )
    with jt.no_grad():
        start = None if average is None else moments(base, average)
        edits = _edits(settings, References(base, pictures))
        text = embeddings(base, requests, settings)
        channels, side = base.unet.config.in_channels, size // base.vae.config.factor
        for first in range(0, len(requests), settings.batch_size):
            batch = requests[first : first + settings.batch_size]
            context = np.stack([_fused(text, r.prompt, r.plain, settings.origin_scale) for r in batch])
            negative = _fused(text, settings.negative_prompt, "", settings.origin_scale)  # 77,D
            model = steered(Guided(base, context, np.stack([negative] * len(batch)), settings), plan, edits)
            latents = jt.array(np.stack([first_latent(plan, r.seed, (channels, side, side), start) for r in batch]))
            for step in plan.run(model, latents):
                step.sync()
                latents = step
            for request, picture in zip(batch, base.vae.decode(latents).numpy()):
                yield request, to_pixels(picture)


def _edits(settings: GenerateConfig, references: References) -> list[Edit]:
    """What changes the predicted picture on the way, in this order."""
    return []


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
