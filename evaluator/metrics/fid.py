"""FID: how far all outputs together are from all references together, in 64 features of Inception's stem."""

from __future__ import annotations

import numpy as np

from evaluator.backbones.inception import InceptionStem
from evaluator.metrics.base import Batch, Figures, Metric


def features_to_fid(real: np.ndarray, generated: np.ndarray) -> float:
    """R,D and N,D -> Frechet distance of the two Gaussians (Heusel et al., 2017); at least two rows each.

    In float64 and then rounded to float32, with no epsilon: torchmetrics 1.4's arithmetic. NaN where the
    features overflow.
    """
    real_mean, real_covariance = _moments(real)
    mean, covariance = _moments(generated)
    if not np.isfinite(real_covariance @ covariance).all():
        return float("nan")
    roots = np.sqrt(np.linalg.eigvals(real_covariance @ covariance).astype(np.complex128)).real.sum()
    distance = ((real_mean - mean) ** 2).sum() + np.trace(real_covariance) + np.trace(covariance) - 2 * roots
    return float(np.float32(distance))


class Fid(Metric):
    """One figure, all styles pooled; there is none per style. Source: `fid_api.py`."""

    key = "fid"

    def __init__(self, network: InceptionStem) -> None:
        self._network = network
        self._real: list[np.ndarray] = []
        self._generated: list[np.ndarray] = []

    def see_references(self, batch: Batch) -> None:
        self._real.append(self._network.features(batch.pixels))

    def see_outputs(self, batch: Batch) -> None:
        self._generated.append(self._network.features(batch.pixels))

    def figures(self) -> Figures:
        return Figures(features_to_fid(np.concatenate(self._real), np.concatenate(self._generated)))


def _moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    wide = features.astype(np.float64)
    count, mean = len(wide), wide.mean(axis=0)
    return mean, (wide.T @ wide - count * np.outer(mean, mean)) / (count - 1)
