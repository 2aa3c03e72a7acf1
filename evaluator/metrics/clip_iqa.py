"""CLIP-IQA: how far a picture is nearer to "Good photo." than to "Bad photo." (Wang et al., 2023)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from evaluator.metrics.base import Figures, Metric, Seen, Texts, mean_of_means

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
    extractor = "rn50"

    def texts(self, file_names: Iterable[str]) -> Sequence[str]:
        return ANCHORS

    def figures(self, styles: Mapping[str, Seen], texts: Texts) -> Figures:
        anchors = np.stack([texts[anchor] for anchor in ANCHORS])
        return mean_of_means(
            self.key,
            {
                style: dict(zip(seen.names, features_to_quality(seen.notes, anchors).tolist()))
                for style, seen in styles.items()
            },
        )


class UnitClipIqa(ClipIqa):
    """CLIP-IQA as its authors meant it: pixels enter as 0..1."""

    key = "clip_iqa_unit"
    label = "CLIP-IQA on pixels 0..1 (corrected)"
    extractor = "rn50_unit"
