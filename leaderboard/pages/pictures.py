"""Pictures of an entry as the templates show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contest.numbers import decimal
from leaderboard.metrics import STYLE_SCORES
from leaderboard.reading.reports import Picture, Report

if TYPE_CHECKING:
    from leaderboard.building.thumbnails import Thumbnails

_KEYS = [metric.key for metric in STYLE_SCORES]
_NOTHING = " ".join("-" for _ in _KEYS)


@dataclass(frozen=True)
class Shown:
    """A picture and its places in the site; both None where the report came without thumbnails."""

    picture: Picture
    small: str | None
    large: str | None

    @property
    def scores(self) -> str:
        """Its metrics for the lightbox, in the order of STYLE_SCORES; "-" where there is none."""
        values = map(self.picture.scores.get, _KEYS)
        said = " ".join(["-" if value is None else decimal(value, 4) for value in values])
        return "" if said == _NOTHING else said


@dataclass(frozen=True)
class Gallery:
    """One style of an entry: references as (object, small, large), and outputs."""

    style: str
    references: tuple[tuple[str, str, str | None], ...]
    outputs: tuple[Shown, ...]

    @property
    def hits(self) -> int:
        return sum(shown.picture.hit is True for shown in self.outputs)


def gallery(thumbnails: Thumbnails, report: Report, style: str) -> Gallery:
    """What is shown of one style."""
    return Gallery(
        style,
        references(thumbnails, report, style),
        tuple(show(thumbnails, report, style, picture) for picture in report.images.get(style, ())),
    )


def show(thumbnails: Thumbnails, report: Report, style: str, picture: Picture) -> Shown:
    """One output."""
    small = thumbnails.output(report, style, picture.file, "small")
    return Shown(picture, small, small and thumbnails.output(report, style, picture.file, "large"))


def references(thumbnails: Thumbnails, report: Report, style: str) -> tuple[tuple[str, str, str | None], ...]:
    """The references of one style: (object, small, large)."""
    large = thumbnails.references(report, style, "large")
    return tuple(
        (str(name), place, large.get(name)) for name, place in thumbnails.references(report, style, "small").items()
    )


def heats(values: Sequence[float | None], higher_is_better: bool) -> list[int | None]:
    """0 for the worst of the values to 10 for the best; None where there is nothing to tell apart."""
    known = [value for value in values if value is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    if low == high:
        return [None] * len(values)
    steps = [None if value is None else round((value - low) / (high - low) * 10) for value in values]
    return [step if step is None or higher_is_better else 10 - step for step in steps]
