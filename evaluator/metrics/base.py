"""What a metric is: a function of what an extractor noted of every picture, which says its figures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from evaluator.weights.folder import Weights

Texts = Mapping[str, np.ndarray]  # text -> its features


@dataclass(frozen=True)
class Seen:
    """One style: its outputs' names, an extractor's notes of them (N,...) and what it keeps of the references."""

    names: Sequence[str]
    notes: np.ndarray
    references: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Figures:
    """A metric's figures under the names they have in a report: in all, per style, per style and picture."""

    total: float | None
    styles: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    images: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)


class Metric(ABC):
    """One of the formula's six, or an extra that never enters Final.

    `key` is the metric's name in a report, `extractor` whose notes it reads, `label` an extra's title for people.
    """

    key: str
    extractor: str
    label = ""

    def __init__(self, weights: Weights) -> None:  # noqa: B027 - optional
        """Note where its own small weights are, if it has any. Raises UserError where they are missing."""

    def texts(self, file_names: Iterable[str]) -> Sequence[str]:
        """The texts whose features it needs beside those of pictures of these names."""
        return ()

    def bound(self, references: Mapping[str, np.ndarray]) -> float:
        """What no picture of a style can pass, from what is kept of its references. Only where they decide it."""
        raise NotImplementedError(f"{self.key} ends where its scale does")

    @abstractmethod
    def figures(self, styles: Mapping[str, Seen], texts: Texts) -> Figures:
        """The figures over all styles, of which each has at least one picture."""


def mean_of_means(key: str, images: Mapping[str, Mapping[str, float]]) -> Figures:
    """Mean over a style's pictures, then over styles, of style -> name -> value."""
    styles = {style: float(np.mean(list(values.values()))) for style, values in images.items()}
    return Figures(
        total=float(np.mean(list(styles.values()))),
        styles={style: {key: value} for style, value in styles.items()},
        images={style: {name: {key: value} for name, value in values.items()} for style, values in images.items()},
    )
