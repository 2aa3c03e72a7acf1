"""Hist: how alike the colours are, as correlation of RGB and HSV histograms with the style's mean ones."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from evaluator.images import to_hsv
from evaluator.metrics.base import Batch, Figures, Metric

RGB_BINS = 4096
HSV_BINS = 72

# class of a hue doubled in a byte, where 256 degrees are 0 again: the checker's quirk
_HUE_CLASS = np.digitize(np.arange(0, 512, 2, dtype=np.int64).astype(np.uint8), (20, 40, 75, 155, 190), right=True)
# class of a saturation or value: up to 51, up to 178, above
_THIRD = np.digitize(np.arange(256), (51, 178), right=True)


def pixels_to_rgb_histogram(pixels: np.ndarray) -> np.ndarray:
    """H,W,3 uint8 RGB -> 4096 counts, float32.

    The checker's index B*256 + G*16 + R overflows its byte and loses blue; its histogram has 4096 bins.
    """
    index = (pixels[..., 1] & 0xF0) | (pixels[..., 0] >> 4)
    return np.bincount(index.ravel(), minlength=RGB_BINS).astype(np.float32)


def pixels_to_hsv_histogram(pixels: np.ndarray) -> np.ndarray:
    """H,W,3 uint8 RGB -> 72 counts, float32: eight classes of hue (two stay empty), three of S and of V."""
    hsv = to_hsv(pixels)
    index = 9 * _HUE_CLASS[hsv[..., 0]] + 3 * _THIRD[hsv[..., 1]] + _THIRD[hsv[..., 2]]
    return np.bincount(index.ravel(), minlength=HSV_BINS).astype(np.float32)


def histograms_to_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson correlation by the sums of OpenCV's HISTCMP_CORREL; 1 where a histogram is flat."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    scale = 1 / len(a)
    spread = (a @ a - a.sum() ** 2 * scale) * (b @ b - b.sum() ** 2 * scale)
    if abs(spread) <= np.finfo(np.float64).eps:
        return 1.0
    return float((a @ b - a.sum() * b.sum() * scale) / np.sqrt(spread))


class Hist(Metric):
    """Raw counts averaged over references first; RGB and HSV averaged per style. Source: `hist_api.py`."""

    key = "hist"

    def __init__(self) -> None:
        self._references: dict[str, list[tuple[np.ndarray, np.ndarray]]] = defaultdict(list)
        self._images: dict[str, dict[str, dict[str, float]]] = defaultdict(dict)

    def see_references(self, batch: Batch) -> None:
        self._references[batch.style] += [_histograms(pixels) for pixels in batch.pixels]

    def see_outputs(self, batch: Batch) -> None:
        # sums of counts below 2^24 are exact in float32; only the division rounds, as in the checker
        seen = self._references[batch.style]
        means = [np.sum(histograms, axis=0) / np.float32(len(seen)) for histograms in zip(*seen)]
        for name, pixels in zip(batch.names, batch.pixels):
            rgb, hsv = (histograms_to_correlation(mean, own) for mean, own in zip(means, _histograms(pixels)))
            self._images[batch.style][name] = {"hist_rgb": rgb, "hist_hsv": hsv}

    def figures(self) -> Figures:
        styles: dict[str, dict[str, float]] = {}
        for style, images in self._images.items():
            rgb, hsv = (float(np.mean([values[key] for values in images.values()])) for key in ("hist_rgb", "hist_hsv"))
            styles[style] = {"hist": (rgb + hsv) / 2, "hist_rgb": rgb, "hist_hsv": hsv}
        return Figures(float(np.mean([values["hist"] for values in styles.values()])), styles, self._images)


def _histograms(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return pixels_to_rgb_histogram(pixels), pixels_to_hsv_histogram(pixels)
