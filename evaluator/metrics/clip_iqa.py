"""CLIP-IQA: how far a picture is nearer to "Good photo." than to "Bad photo." (Wang et al., 2023)."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from evaluator.backbones.rn50 import Rn50
from evaluator.metrics.base import Batch, Figures, Metric, mean_of_means

ANCHORS = ("Good photo.", "Bad photo.")


def features_to_quality(images: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """N,D and the two anchors 2,D -> N: the first anchor's share of the softmax of 100 times the cosines."""
    units, poles = (
        x / np.linalg.norm(x, axis=1, keepdims=True) for x in (images.astype(np.float64), anchors.astype(np.float64))
    )
    good, bad = (100 * units @ poles.T).T
    return 1 / (1 + np.exp(bad - good))


class ClipIqa(Metric):
    """Mean over pictures, then styles; references play no part.

    Source: `clip_iqa_api.py` and torchmetrics 1.4.
    """

    key = "clip_iqa"

    def __init__(self, network: Rn50) -> None:
        self._network = network
        self._anchors = network.text_features(ANCHORS)
        self._images: dict[str, dict[str, float]] = defaultdict(dict)

    def see_outputs(self, batch: Batch) -> None:
        qualities = features_to_quality(self._network.features(batch.pixels), self._anchors)
        self._images[batch.style].update(zip(batch.names, qualities.tolist()))

    def figures(self) -> Figures:
        return mean_of_means(self.key, self._images)
