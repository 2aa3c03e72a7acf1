"""What a picture is drawn from: noise of its own, or noise on an average picture or on a signal of the style's."""

from __future__ import annotations

from typing import Union

import numpy as np

from jdart.data.seeds import rng_for
from jdart.generation.colour.leak import Leak
from jdart.generation.samplers import SamplingPlan

Moments = tuple[np.ndarray, np.ndarray]  # mean and deviation (1, C, h, w) of what the autoencoder makes of a picture
Ground = Union[Moments, Leak, None]  # what lies under the noise


def first_latent(plan: SamplingPlan, seed: int, shape: tuple[int, ...], ground: Ground = None) -> np.ndarray:
    """The latent `shape` (C, h, w), float32, that the picture with this seed starts from."""
    return plan.start(noise(seed, shape), _signal(ground, seed)).astype(np.float32)


def noise(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """The noise `shape` (C, h, w), float32, of deviation 1, of the picture with this seed."""
    return _normal("noise", seed, shape)


def _signal(ground: Ground, seed: int) -> np.ndarray | None:
    if ground is None:
        return None
    if isinstance(ground, Leak):
        return ground.draw(rng_for("signal leak", seed))
    mean, deviation = ground
    return (mean + deviation * _normal("vae sample", seed, mean.shape))[0]


def _normal(purpose: str, seed: int, shape: tuple[int, ...]) -> np.ndarray:
    return rng_for(purpose, seed).standard_normal(shape, np.float32)
