"""What a picture is drawn from: noise of its own, or noise on an average picture."""

from __future__ import annotations

import numpy as np

from jdart.data.seeds import rng_for
from jdart.generation.samplers import SamplingPlan

Moments = tuple[np.ndarray, np.ndarray]  # mean and deviation (1, C, h, w) of what the autoencoder makes of a picture


def first_latent(plan: SamplingPlan, seed: int, shape: tuple[int, ...], average: Moments | None = None) -> np.ndarray:
    """The latent `shape` (C, h, w), float32, that the picture with this seed starts from."""
    x0 = None
    if average is not None:
        mean, deviation = average
        x0 = (mean + deviation * _normal("vae sample", seed, mean.shape))[0]
    return plan.start(_normal("noise", seed, shape), x0).astype(np.float32)


def _normal(purpose: str, seed: int, shape: tuple[int, ...]) -> np.ndarray:
    return rng_for(purpose, seed).standard_normal(shape, np.float32)
