"""Draw pictures: text, noise and, if asked for, an average picture in; pictures out, one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import jittor as jt
import numpy as np

from jdart.config import GenerateConfig
from jdart.data import rng_for, to_model_range, to_pixels
from jdart.examples import encode_text
from jdart.models.build import Base
from jdart.samplers import sampling_plan


@dataclass(frozen=True)
class Request:
    """One picture to draw: its name, the text it is drawn from and its own seed."""

    name: str
    prompt: str
    seed: int


def draw(
    base: Base, requests: Sequence[Request], settings: GenerateConfig, size: int, average: np.ndarray | None
) -> Iterator[tuple[Request, np.ndarray]]:
    """Yield (request, picture) with pictures of (size, size, 3) uint8, in order.

    `average` (size, size, 3) uint8 starts each picture from a noisy copy of it, as `settings.strength` says. A
    picture depends on its request alone, not on the batch it is drawn in.
    """
    plan = sampling_plan(
        base.schedule, settings.sampler, settings.steps, None if average is None else settings.strength
    )
    with jt.no_grad():
        start = None
        if average is not None:
            start = tuple(part.numpy() for part in base.vae.encode(jt.array(to_model_range(average)[None])))
        negative = encode_text(base, base.tokens([settings.negative_prompt]))  # 1,77,D
        channels, side = base.unet.config.in_channels, size // base.vae.config.factor
        for first in range(0, len(requests), settings.batch_size):
            batch = requests[first : first + settings.batch_size]
            context = encode_text(base, base.tokens([request.prompt for request in batch]))
            noise = np.stack([_normal("noise", request, (channels, side, side)) for request in batch])
            x0 = None
            if start is not None:
                mean, deviation = start
                x0 = np.stack([(mean + deviation * _normal("vae sample", r, mean.shape))[0] for r in batch])
            model = _Guided(base, context, np.repeat(negative, len(batch), axis=0), settings.guidance_scale)
            latents = jt.array(plan.start(noise, x0).astype(np.float32))
            for step in plan.run(model, latents):
                step.sync()
                latents = step
            pictures = base.vae.decode(latents).numpy()
            for request, picture in zip(batch, pictures):
                yield request, to_pixels(picture)


class _Guided:
    """The UNet under classifier-free guidance (Ho and Salimans, 2207.12598), as a sampler's model."""

    def __init__(self, base: Base, context: np.ndarray, negative: np.ndarray, scale: float):
        self.base, self.scale = base, scale
        self.batch = len(context)
        self.context = jt.array(context if scale == 1 else np.concatenate([negative, context]))

    def __call__(self, x: jt.Var, t: float) -> jt.Var:
        if self.scale == 1:
            return self.base.unet(x, np.full(self.batch, t), self.context)
        both = self.base.unet(jt.concat([x, x]), np.full(2 * self.batch, t), self.context)
        without, with_text = both[: self.batch], both[self.batch :]
        return without + (with_text - without) * self.scale


def _normal(purpose: str, request: Request, shape: tuple[int, ...]) -> np.ndarray:
    return rng_for(purpose, request.seed).standard_normal(shape, np.float32)
