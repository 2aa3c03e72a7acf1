"""KID: an unbiased companion of FID for few pictures, on the same 64 features (Binkowski et al., 2018)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from evaluator.metrics.base import Figures, Metric, Seen, Texts


def features_to_kid(real: np.ndarray, generated: np.ndarray) -> float:
    """R,D and N,D (at least two rows each) -> squared MMD under the kernel (x.y/D + 1)^3, over all pairs.

    Unbiased, so that it may fall below zero where the two sets are alike.
    """
    x, y = real.astype(np.float64), generated.astype(np.float64)
    return _mean_off_diagonal(_kernel(x, x)) + _mean_off_diagonal(_kernel(y, y)) - 2 * float(_kernel(x, y).mean())


class Kid(Metric):
    """All styles pooled, and each style by itself where it has two pictures."""

    key = "kid"
    label = "KID on FID's features (unofficial, unbiased)"
    extractor = "inception"

    def figures(self, styles: Mapping[str, Seen], texts: Texts) -> Figures:
        pairs = {style: (seen.references["features"], seen.notes) for style, seen in styles.items()}
        real, generated = (np.concatenate(features) for features in zip(*pairs.values()))
        return Figures(
            features_to_kid(real, generated),
            {style: {self.key: features_to_kid(*pair)} for style, pair in pairs.items() if min(map(len, pair)) > 1},
        )


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _mean_off_diagonal(kernel: np.ndarray) -> float:
    count = len(kernel)
    return float((kernel.sum() - np.trace(kernel)) / (count * (count - 1)))
