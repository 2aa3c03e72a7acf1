"""DINO: how alike the objects and their arrangement are, as the cosine of DINOv2 features over all pairs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from evaluator.extractors.base import unit
from evaluator.metrics.base import Figures, Metric, Seen, Texts, mean_of_means


def features_to_mean_cosine(outputs: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """N,D and the mean D of the references' unit features -> N mean cosines, without forming a pair.

    mean_j cos(a, b_j) = <a/|a|, mean_j b_j/|b_j|>.
    """
    return unit(outputs) @ direction


def direction_to_ceiling(direction: np.ndarray) -> float:
    """The mean D of a style's unit features -> the largest DINO a picture can have.

    DINO is the product of that mean with a vector of length 1, so that it cannot exceed the mean's length.
    """
    return float(np.linalg.norm(direction))


class Dino(Metric):
    """Mean over references, then pictures, then styles. Source: `dino_api.py`, `score_api.py`."""

    key = "dino"
    extractor = "dinov2"

    def bound(self, references: Mapping[str, np.ndarray]) -> float:
        return direction_to_ceiling(references["direction"])

    def figures(self, styles: Mapping[str, Seen], texts: Texts) -> Figures:
        return mean_of_means(
            self.key,
            {
                style: dict(zip(seen.names, features_to_mean_cosine(seen.notes, seen.references["direction"]).tolist()))
                for style, seen in styles.items()
            },
        )
