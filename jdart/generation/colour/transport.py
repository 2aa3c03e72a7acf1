"""Whitening and colouring of the predicted picture in latent space, towards a style's pooled latents.

x0' = (1 - k) x0 + k [Cr^1/2 (C + d I)^-1/2 (x0 - m) + mr], with mean m and covariance C of the channels of one picture,
mr and Cr of all pixels of all references; k is the weight. AdaIN (1703.06868) is the case of diagonal covariances.
"""

from __future__ import annotations

import jittor as jt
import numpy as np

from jdart.config.sections.colour import TransportConfig
from jdart.generation.colour.gaussian import channel_moments, power

RIDGE = 1e-2  # d: a channel's variance is around 1, and one that hardly varies is not blown up


class Transport:
    """An edit of predicted latents (B, C, h, w), each picture by itself; `references` are latents (N, C, h, w)."""

    def __init__(self, references: np.ndarray, settings: TransportConfig):
        self.settings = settings
        self.mean, covariance = channel_moments(references)
        self.colouring = power(self._kept(covariance), 0.5)

    def __call__(self, x0: jt.Var, share: float) -> jt.Var:
        if not self.settings.first <= share < self.settings.last:
            return x0
        return jt.array(np.stack([self.moved(picture) for picture in x0.numpy()]))

    def moved(self, picture: np.ndarray) -> np.ndarray:
        """One picture's latents (C, h, w) float32, moved."""
        mean, covariance = channel_moments(picture[None])
        whitening = power(self._kept(covariance) + RIDGE * np.eye(len(mean)), -0.5)
        values = picture.reshape(len(mean), -1)
        goal = self.colouring @ whitening @ (values - mean[:, None]) + self.mean[:, None]
        weight = self.settings.weight
        return ((1 - weight) * values + weight * goal).reshape(picture.shape).astype(np.float32)

    def _kept(self, covariance: np.ndarray) -> np.ndarray:
        return np.diag(np.diag(covariance)) if self.settings.method == "adain" else covariance
