"""Colour histograms: no network, but noted like the others.

The checker's own have two overflows, which are part of the metric; the true ones go beside it as an extra.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evaluator.extractors.base import Arrays, Extractor
from evaluator.inputs.images import to_hsv

RGB_BINS = 4096
BYTE_RGB_BINS = 256  # of them that an index cut to a byte can reach
HSV_BINS = 72

_HUE_ENDS = (20, 40, 75, 155, 190, 270, 295, 315)  # degrees; beyond the last it is red again
# class of an 8-bit hue as it is meant, and with its double cut to a byte, where 256 degrees are 0 again
_TRUE_HUE = np.digitize(np.arange(0, 512, 2), _HUE_ENDS, right=True) % len(_HUE_ENDS)
_BYTE_HUE = np.digitize(np.arange(0, 512, 2) % 256, _HUE_ENDS, right=True) % len(_HUE_ENDS)
# class of a saturation or value: up to 51, up to 178, above
_THIRD = np.digitize(np.arange(256), (51, 178), right=True)


def pixels_to_rgb_histogram(pixels: np.ndarray, true: bool = False) -> np.ndarray:
    """H,W,3 uint8 RGB -> counts, float32: 4096 with `true`, otherwise the 256 that can be other than 0.

    The checker's index B*256 + G*16 + R overflows its byte and loses blue, but it has 4096 bins all the same.
    """
    index = (pixels[..., 1] & 0xF0) | (pixels[..., 0] >> 4)
    if true:
        index = (pixels[..., 2].astype(np.uint16) >> 4 << 8) | index
    return np.bincount(index.ravel(), minlength=RGB_BINS if true else BYTE_RGB_BINS).astype(np.float32)


def pixels_to_hsv_histogram(pixels: np.ndarray, true: bool = False) -> np.ndarray:
    """H,W,3 uint8 RGB -> 72 counts, float32: eight classes of hue, three of S and of V.

    The checker doubles the hue in a byte, so that two classes stay empty; with `true` it is in degrees.
    """
    hsv = to_hsv(pixels)
    hue = (_TRUE_HUE if true else _BYTE_HUE)[hsv[..., 0]]
    index = 9 * hue + 3 * _THIRD[hsv[..., 1]] + _THIRD[hsv[..., 2]]
    return np.bincount(index.ravel(), minlength=HSV_BINS).astype(np.float32)


class Histograms(Extractor):
    """Pictures -> counts: those of HSV (72), then those of RGB. Source: `hist_api.py`."""

    name = "histograms"
    sees_references = True
    true = False

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        return np.concatenate((pixels_to_hsv_histogram(pixels, self.true), pixels_to_rgb_histogram(pixels, self.true)))

    def notes(self, prepared: Sequence[np.ndarray], references: Arrays | None = None) -> np.ndarray:
        return np.stack(prepared)

    def keep(self, notes: np.ndarray) -> Arrays:
        """The mean of raw counts: their sums, below 2^24, are exact in float32, and only the division rounds."""
        return {"mean": notes.sum(axis=0) / np.float32(len(notes))}


class TrueHistograms(Histograms):
    """The same without overflow."""

    name = "true_histograms"
    true = True
