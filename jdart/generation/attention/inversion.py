"""DDIM inversion: from a picture's latent to the noise that DDIM would draw it from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import isfinite, sqrt

import jittor as jt
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
        share = (there - here) * alpha_there if isfinite(there) else 1.0  # up to noise alone
        x = x * (alpha_there / alpha) + eps * share
        yield x


def inverted(model: Model, x: Array, plan: SamplingPlan) -> dict[float, Array]:
    """The latent of the clean `x` (B, C, h, w) at each timestep that a run of `plan` asks for, whatever its sampler.

    PNDM's second timestep, which it asks for twice, is one step here.
    """
    levels = dict(zip(plan.timesteps[plan.first :], plan.sigmas[plan.first :]))
    once = replace(plan, timesteps=tuple(levels), sigmas=(*levels.values(), plan.sigmas[-1]), first=0)
    latents = {}
    for t, step in zip(reversed(once.timesteps), invert(model, x, once)):
        x = step
        if isinstance(x, jt.Var):
            x.sync()
        latents[t] = x
    return latents


class Unguided:
    """The base UNet with one prompt and no guidance, as a sampler's model: (B, C, H, W), t -> output."""

    def __init__(self, base: Base, prompt: str = ""):
        self.unet = base.unet
        self.context = jt.array(encode_text(base, base.tokens([prompt])))  # 1,77,D

    def __call__(self, x: Array, t: float) -> Array:
        batch = x.shape[0]
        context = self.context.broadcast((batch, *self.context.shape[1:]))
        return self.unet(x, np.full(batch, t), context)
