"""LPIPS: how far brushwork and texture are apart, over all pairs of a style's references and outputs."""

from __future__ import annotations

from collections.abc import Mapping

from evaluator.metrics.base import Figures, Metric, Seen, Texts, mean_of_means


class Lpips(Metric):
    """Mean over references, then pictures, then styles. Source: `lpips_api.py` and torchmetrics 1.4.

    The extractor has compared each picture with the mean of its references already.
    """

    key = "lpips"
    extractor = "squeezenet"

    def figures(self, styles: Mapping[str, Seen], texts: Texts) -> Figures:
        return mean_of_means(
            self.key, {style: dict(zip(seen.names, seen.notes.tolist())) for style, seen in styles.items()}
        )
