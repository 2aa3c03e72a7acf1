"""DDIM inversion: from a picture's latent to the noise that DDIM would draw it from."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt

import numpy as np

from jdart.generation.samplers import Model, SamplingPlan, sampling_plan
from jdart.models.build import Base
from jdart.models.encode import encode_text
from jdart.models.schedule import Array, NoiseSchedule


def inversion_plan(schedule: NoiseSchedule, steps: int) -> SamplingPlan:
    """The plan of DDIM that `invert` walks backwards and `plan.run` forwards."""
    return sampling_plan(schedule, "ddim", steps)


def invert(model: Model, x: Array, plan: SamplingPlan) -> Iterator[Array]:
    """Yield the latent after each call of `model`, from the clean `x` to the noise.

    DDIM's equation (2010.02502, eq. 14) read the other way: the step up to timestep t takes the output at t of the
    latent below it, as diffusers' DDIMInverseScheduler does; exact where the output changes little between two steps.
    """
    for i in reversed(range(len(plan.timesteps))):
        here, there = plan.sigmas[i + 1], plan.sigmas[i]  # sigma / alpha
        alpha, alpha_there = 1 / sqrt(1 + here**2), 1 / sqrt(1 + there**2)
        output = model(x, plan.timesteps[i])
        eps = output
        if plan.schedule.prediction_type == "v_prediction":
            eps = output * alpha + x * (here * alpha)
        x = x * (alpha_there / alpha) + eps * ((there - here) * alpha_there)
        yield x


class Unguided:
    """The base UNet with the empty prompt and no guidance, as a sampler's model: (B, C, H, W), t -> output."""

    def __init__(self, base: Base):
        import jittor as jt

        self.unet = base.unet
        self.context = jt.array(encode_text(base, base.tokens([""])))  # 1,77,D

    def __call__(self, x: Array, t: float) -> Array:
        batch = x.shape[0]
        context = self.context.broadcast((batch, *self.context.shape[1:]))
        return self.unet(x, np.full(batch, t), context)
