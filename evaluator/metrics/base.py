"""What a metric is: it sees every picture once, style by style in batches, and then gives its figures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Batch:
    """Pictures of one style and one size; `pixels` are H,W,3 uint8 RGB."""

    style: str
    names: Sequence[str]
    pixels: Sequence[np.ndarray]


@dataclass(frozen=True)
class Figures:
    """A metric's figures under the names they have in a report: in all, per style, per style and picture."""

    total: float
    styles: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    images: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)


class Metric(ABC):
    """One of the formula's six. The references of a style come before its outputs; nothing else is promised.

    `key` is the metric's field in Scores and its name in the report's timings.
    """

    key: str

    def see_references(self, batch: Batch) -> None:  # noqa: B027 - optional
        """Take in reference pictures; a metric that compares with nothing leaves this out."""

    @abstractmethod
    def see_outputs(self, batch: Batch) -> None:
        """Take in the entry's pictures."""

    @abstractmethod
    def figures(self) -> Figures:
        """The figures over everything seen."""


def mean_of_means(key: str, images: Mapping[str, Mapping[str, float]]) -> Figures:
    """Mean over a style's pictures, then over styles, of style -> name -> value."""
    styles = {style: float(np.mean(list(values.values()))) for style, values in images.items()}
    return Figures(
        total=float(np.mean(list(styles.values()))),
        styles={style: {key: value} for style, value in styles.items()},
        images={style: {name: {key: value} for name, value in values.items()} for style, values in images.items()},
    )
