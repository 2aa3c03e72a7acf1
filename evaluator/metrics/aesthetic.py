"""Aesthetic score: how much people like a picture, on 1 to 10, from its CLIP ViT-L/14 features.

A linear head on unit features. Source: LAION-AI/aesthetic-predictor, `sa_0_4_vit_l_14_linear.pth`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from contest.errors import UserError
from evaluator.extractors.base import unit
from evaluator.metrics.base import Figures, Metric, Seen, Texts, mean_of_means
from evaluator.weights.folder import AESTHETIC, Weights

GATE = 6.0  # the Kolors story contest counts pictures from here up


def features_to_aesthetic(features: np.ndarray, weight: np.ndarray, bias: float) -> np.ndarray:
    """N,D CLIP features and the head's D weights and bias -> N scores."""
    return unit(features) @ weight.astype(np.float64) + bias


class Aesthetic(Metric):
    """Mean over pictures, then styles."""

    key = "aesthetic"
    extractor = "clip"
    label = f"aesthetic score, LAION linear head (gate {GATE})"

    def __init__(self, weights: Weights) -> None:
        if AESTHETIC not in weights.files:
            raise UserError(
                f"{weights.root}: {AESTHETIC} is not there; fetch it: jdart-eval weights pull {weights.root} "
                "--with aesthetic"
            )
        self._path = weights.files[AESTHETIC]

    def figures(self, styles: Mapping[str, Seen], texts: Texts) -> Figures:
        weight, bias = self._head()
        scores = {style: features_to_aesthetic(seen.notes, weight, bias) for style, seen in styles.items()}
        return mean_of_means(
            self.key, {style: dict(zip(styles[style].names, values.tolist())) for style, values in scores.items()}
        )

    def _head(self) -> tuple[np.ndarray, float]:
        from evaluator.backbones.loading import read_checkpoint

        state = read_checkpoint(self._path)
        shapes = set(state) == {"weight", "bias"} and state["weight"].ndim == 2 and len(state["weight"]) == 1
        if not shapes or state["bias"].numel() != 1:
            raise UserError(f"{self._path}: not a linear head of one output; fetch it again")
        if not all(value.is_floating_point() and value.isfinite().all() for value in state.values()):
            raise UserError(f"{self._path}: its numbers are whole (quantised) or not finite; fetch it again")
        return state["weight"][0].detach().float().numpy(), float(state["bias"])
