"""DINO: how alike the objects and their arrangement are, as the cosine of DINOv2 features over all pairs."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from evaluator.backbones.dinov2 import DinoV2
from evaluator.metrics.base import Batch, Figures, Metric, mean_of_means


def features_to_mean_cosine(outputs: np.ndarray, references: np.ndarray) -> np.ndarray:
    """N,D and R,D -> N: mean cosine of each output with all references, without forming a pair.

    mean_j cos(a, b_j) = <a/|a|, mean_j b_j/|b_j|>.
    """
    return _unit(outputs) @ _unit(references).mean(axis=0)


class Dino(Metric):
    """Mean over references, then pictures, then styles. Source: `dino_api.py`, `score_api.py`."""

    key = "dino"

    def __init__(self, network: DinoV2) -> None:
        self._network = network
        self._references: dict[str, list[np.ndarray]] = defaultdict(list)
        self._images: dict[str, dict[str, float]] = defaultdict(dict)

    def see_references(self, batch: Batch) -> None:
        self._references[batch.style].append(self._network.features(batch.pixels))

    def see_outputs(self, batch: Batch) -> None:
        references = np.concatenate(self._references[batch.style])
        cosines = features_to_mean_cosine(self._network.features(batch.pixels), references)
        self._images[batch.style].update(zip(batch.names, cosines.tolist()))

    def figures(self) -> Figures:
        return mean_of_means(self.key, self._images)


def _unit(features: np.ndarray) -> np.ndarray:
    wide = features.astype(np.float64)
    # torch's cosine_similarity keeps lengths away from zero by as much
    return wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-8)
