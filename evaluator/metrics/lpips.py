"""LPIPS: how far brushwork and texture are apart, over all pairs of a style's references and outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from evaluator.metrics.base import Figures, Metric, Seen, Texts, mean_of_means
from evaluator.weights.folder import HEADS, Weights


def maps_to_floor(maps: Sequence[np.ndarray], energy: float, heads: Sequence[np.ndarray]) -> float:
    """What is kept of a style's references, mean maps C,H,W and mean energy, and a head C a map -> the least LPIPS.

    mean_j w|a - b_j|^2 = w|a - m|^2 + mean_j w|b_j - m|^2 with m the mean of the b_j: the second term, the references'
    own spread, is there for every picture, since LPIPS' weights are not negative. It is half of the mean LPIPS of the
    references with each other, each with itself too; what rounding leaves of a lone reference's 0 is cut off below.
    """
    middle = sum(
        float(np.square(each, dtype=np.float64).mean(axis=(1, 2)) @ head.astype(np.float64))
        for each, head in zip(maps, heads)
    )
    return max(0.0, energy - middle)


class Lpips(Metric):
    """Mean over references, then pictures, then styles. Source: `lpips_api.py` and torchmetrics 1.4.

    The extractor has compared each picture with the mean of its references already.
    """

    key = "lpips"
    extractor = "squeezenet"

    def __init__(self, weights: Weights) -> None:
        self._heads = weights.files[HEADS]

    def bound(self, references: Mapping[str, np.ndarray]) -> float:
        from evaluator.backbones.squeezenet import read_heads

        heads = [head.numpy() for head in read_heads(self._heads, "cpu")]
        maps = [references[f"map{place}"] for place in range(len(heads))]
        return maps_to_floor(maps, float(references["energy"]), heads)

    def figures(self, styles: Mapping[str, Seen], texts: Texts) -> Figures:
        return mean_of_means(
            self.key, {style: dict(zip(seen.names, seen.notes.tolist())) for style, seen in styles.items()}
        )
