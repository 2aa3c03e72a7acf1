"""Signal leak (2309.15842): what a style's pictures have in common, drawn anew for each picture, under its noise.

A picture then starts from x_T = sqrt(abar_T) s + sqrt(1 - abar_T) e. The s is drawn from a normal distribution with, at
each latent pixel, mean and variance of the references' latents ("pixel"); or the 3 x 3 lowest coefficients of its
discrete cosine transform, of all channels together, are drawn jointly, and what they leave pixel by pixel ("dct").
"""

from __future__ import annotations

import numpy as np

from contest.errors import UserError
from jdart.config.sections.colour import StartConfig
from jdart.generation.colour.gaussian import channel_moments, power

LOWEST = 3  # coefficients of either direction
FEW = 3  # so many references say nothing about a single pixel's variance


class Leak:
    """Signals (C, h, w) like the references' latents (N, C, h, w).

    Of up to three references the mirror images are samples too, and what varies around their mean is one covariance of
    the channels for all pixels. UserError where there are fewer latent pixels than coefficients.
    """

    def __init__(self, references: np.ndarray, settings: StartConfig):
        self.kind = settings.leak
        self.few = len(references) <= FEW
        samples = references.astype(np.float64)
        if self.few:
            samples = np.concatenate([samples, samples[..., ::-1]])
        mean = samples.mean(axis=0)
        self.mean, self.apart = mean * settings.mean, samples - mean
        height, width = mean.shape[1:]
        if self.kind == "dct":
            require_coefficients(height, width)
            self.down, self.across = dct_matrix(height)[:LOWEST], dct_matrix(width)[:LOWEST]
            self.low = self.down @ self.apart @ self.across.T  # (N, C, 3, 3)
            self.apart = self.apart - self.down.T @ self.low @ self.across

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """One signal (C, h, w), float64."""
        if self.kind is None:
            return self.mean
        signal = self._pixelwise(rng)
        if self.kind == "dct":
            low = _jointly(self.low, rng) - self.down @ signal @ self.across.T
            signal = signal + self.down.T @ low @ self.across
        return self.mean + signal

    def _pixelwise(self, rng: np.random.Generator) -> np.ndarray:
        noise = rng.standard_normal(self.mean.shape)
        if self.few:
            _, covariance = channel_moments(self.apart)
            unbiased = covariance * len(self.apart) / (len(self.apart) - 1)
            return np.tensordot(power(unbiased, 0.5), noise, 1)
        return noise * np.sqrt((self.apart**2).sum(axis=0) / (len(self.apart) - 1))


def require_coefficients(height: int, width: int) -> None:
    """UserError where there are fewer latent pixels than coefficients."""
    if min(height, width) < LOWEST:
        raise UserError(
            f"generate.start.leak: dct takes {LOWEST} x {LOWEST} coefficients, and this base makes {height} x "
            f"{width} latent pixels of a picture; take pixel, or a larger data.size"
        )


def _jointly(apart: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A draw from the normal distribution around 0 with the unbiased covariance of samples (N, ...) less their mean.

    It is a random sum of the samples, so that no matrix is taken apart and any rank will do.
    """
    return np.tensordot(rng.standard_normal(len(apart)), apart, 1) / np.sqrt(len(apart) - 1)


def dct_matrix(count: int) -> np.ndarray:
    """The orthonormal discrete cosine transform of `count` values (type II): row k is the cosine of frequency k."""
    k, n = np.mgrid[:count, :count]
    rows = np.cos(np.pi * k * (2 * n + 1) / (2 * count)) * np.sqrt(2 / count)
    rows[0] /= np.sqrt(2)
    return rows
