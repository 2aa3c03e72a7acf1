"""Hist: how alike the colours are, as correlation of RGB and HSV histograms with the style's mean ones."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from evaluator.extractors.histograms import HSV_BINS, RGB_BINS
from evaluator.metrics.base import Figures, Metric, Seen, Texts


def histograms_to_correlation(first: np.ndarray, second: np.ndarray, bins: int) -> float:
    """Pearson correlation over `bins`, of which those not given are 0, by the sums of OpenCV's HISTCMP_CORREL.

    1 where a histogram is flat.
    """
    a, b = first.astype(np.float64), second.astype(np.float64)
    scale = 1 / bins
    spread = (a @ a - a.sum() ** 2 * scale) * (b @ b - b.sum() ** 2 * scale)
    if abs(spread) <= np.finfo(np.float64).eps:
        return 1.0
    return float((a @ b - a.sum() * b.sum() * scale) / np.sqrt(spread))


class Hist(Metric):
    """Raw counts averaged over references first; RGB and HSV averaged per style. Source: `hist_api.py`."""

    key = "hist"
    extractor = "histograms"

    def figures(self, styles: Mapping[str, Seen], texts: Texts) -> Figures:
        rgb_key, hsv_key = f"{self.key}_rgb", f"{self.key}_hsv"
        rows: dict[str, dict[str, float]] = {}
        images: dict[str, dict[str, dict[str, float]]] = {}
        for style, seen in styles.items():
            mean = seen.references["mean"]
            images[style] = {
                name: {
                    rgb_key: histograms_to_correlation(mean[HSV_BINS:], counts[HSV_BINS:], RGB_BINS),
                    hsv_key: histograms_to_correlation(mean[:HSV_BINS], counts[:HSV_BINS], HSV_BINS),
                }
                for name, counts in zip(seen.names, seen.notes)
            }
            rgb, hsv = (float(np.mean([row[key] for row in images[style].values()])) for key in (rgb_key, hsv_key))
            rows[style] = {self.key: (rgb + hsv) / 2, rgb_key: rgb, hsv_key: hsv}
        return Figures(float(np.mean([row[self.key] for row in rows.values()])), rows, images)


class TrueHist(Hist):
    """Hist with all three colours in the RGB histogram and the whole circle of hues."""

    key = "hist_true"
    label = "Hist with true RGB and true hue (corrected)"
    extractor = "true_histograms"
