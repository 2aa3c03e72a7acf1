"""Latents as a normal distribution over their channels: mean, covariance, and powers of it."""

from __future__ import annotations

import numpy as np


def channel_moments(latents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (C,) and covariance (C, C), float64, of the channels over all pixels of latents (N, C, h, w)."""
    values = latents.astype(np.float64).transpose(1, 0, 2, 3).reshape(latents.shape[1], -1)
    mean = values.mean(axis=1)
    centred = values - mean[:, None]
    return mean, centred @ centred.T / values.shape[1]


def power(covariance: np.ndarray, exponent: float) -> np.ndarray:
    """A power of a symmetric matrix (C, C) without negative eigenvalues; those that rounding made are taken as 0."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * values.clip(0) ** exponent) @ vectors.T
