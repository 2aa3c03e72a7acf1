"""The UNet under classifier-free guidance, as a sampler's model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import jittor as jt
import numpy as np

from jdart.config import GenerateConfig
from jdart.models.build import Base
from jdart.models.networks.unet import DeepFeatures


class Guided:
    """The UNet under classifier-free guidance (Ho and Salimans, 2207.12598), as the model of one run of a sampler.

    Scale 1 is the plain output with text and calls the UNet for that alone; scale 0 is a value like any other. Where
    `settings.guidance_interval` is given, so are the calls outside of it (Kynkaanniemi et al., 2404.07724).
    """

    def __init__(
        self,
        base: Base,
        context: np.ndarray,
        negative: np.ndarray,
        settings: GenerateConfig,
        calls: int,
        interval: int = 1,
    ):
        """`context` and `negative` are the embeddings (B, 77, D) float32 of each picture; the run has so many calls.

        The deep layers are calculated in every `interval`-th of them.
        """
        self.settings, self.calls, self.done = settings, calls, 0
        self.unet = base.unet if interval == 1 else partial(base.unet, deep=DeepFeatures(interval))
        self.batch = len(context)
        alone = settings.guidance_scale == 1
        self.context = jt.array(context if alone else np.concatenate([negative, context]))

    def narrow(self, rows: Sequence[int]) -> None:
        """From now on the batch has only these of its rows."""
        starts = range(0, self.context.shape[0], self.batch)
        self.context = jt.array(self.context.numpy()[[start + row for start in starts for row in rows]])
        self.batch = len(rows)

    def __call__(self, x: jt.Var, t: float) -> jt.Var:
        settings, done = self.settings, self.done
        self.done += 1
        if not settings.guides(done, self.calls):
            return self.unet(x, np.full(self.batch, t), self.context[-self.batch :])
        both = self.unet(jt.concat([x, x]), np.full(2 * self.batch, t), self.context)
        without, with_text = both[: self.batch], both[self.batch :]
        guided = without + (with_text - without) * settings.guidance_scale
        rescale = settings.guidance_rescale
        return guided if rescale == 0 else rescale_guidance(guided, with_text, rescale)


def rescale_guidance(guided: jt.Var, with_text: jt.Var, amount: float) -> jt.Var:
    """Bring the spread of each guided output (B, C, H, W) back towards that of the output with text.

    Lin et al., Common Diffusion Noise Schedules and Sample Steps are Flawed, 2305.08891, eq. 15 and 16; `amount` is
    their phi. Without it a high guidance scale overexposes.
    """

    def spread(x: jt.Var) -> jt.Var:
        centred = x - x.mean([1, 2, 3], keepdims=True)
        return jt.sqrt((centred * centred).mean([1, 2, 3], keepdims=True))

    return guided * (spread(with_text) / spread(guided) * amount + (1 - amount))
