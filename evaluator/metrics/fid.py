"""FID: how far all outputs together are from all references together, in 64 features of Inception's stem."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from evaluator.metrics.base import Figures, Metric, Seen, Texts

Moments = tuple[np.ndarray, np.ndarray]  # mean D and covariance D,D, float64


def features_to_moments(features: np.ndarray) -> Moments:
    """N,D (at least two rows) -> mean and unbiased covariance, by torchmetrics' sums in float64."""
    wide = features.astype(np.float64)
    count, mean = len(wide), wide.mean(axis=0)
    return mean, (wide.T @ wide - count * np.outer(mean, mean)) / (count - 1)


def moments_to_fid(real: Moments, generated: Moments) -> float:
    """Frechet distance of two Gaussians (Heusel et al., 2017).

    In float64 and then rounded to float32, with no epsilon: torchmetrics 1.4's arithmetic. NaN where the
    features overflow.
    """
    product = real[1] @ generated[1]
    if not np.isfinite(product).all():
        return float("nan")
    roots = np.sqrt(np.linalg.eigvals(product).astype(np.complex128)).real.sum()
    distance = ((real[0] - generated[0]) ** 2).sum() + np.trace(real[1]) + np.trace(generated[1]) - 2 * roots
    return float(np.float32(distance))


class Fid(Metric):
    """One figure, all styles pooled; there is none per style. Source: `fid_api.py`."""

    key = "fid"
    extractor = "inception"

    def figures(self, styles: Mapping[str, Seen], texts: Texts) -> Figures:
        real = np.concatenate([seen.references["features"] for seen in styles.values()])
        generated = np.concatenate([seen.notes for seen in styles.values()])
        return Figures(moments_to_fid(features_to_moments(real), features_to_moments(generated)))


class StyleFid(Metric):
    """The FID of each style by itself, which the checker does not have.

    A style has fewer pictures than there are features, so that every figure is far too large; it compares entries
    on one style, and nothing else. None where a style has fewer than two pictures.
    """

    key = "style_fid"
    label = "FID of each style (unofficial, biased: few pictures)"
    extractor = "inception"

    def figures(self, styles: Mapping[str, Seen], texts: Texts) -> Figures:
        pairs = {style: (seen.references["features"], seen.notes) for style, seen in styles.items()}
        return Figures(
            None,
            {
                style: {self.key: moments_to_fid(features_to_moments(real), features_to_moments(generated))}
                for style, (real, generated) in pairs.items()
                if min(len(real), len(generated)) > 1
            },
        )
