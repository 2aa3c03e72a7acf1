"""Where an entry's Final comes from, how far it can go, which pictures cost it most, and what CLIP-R saw instead."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaluator.analysis.cells import MEASURED, Cells, cells_to_scores
from evaluator.analysis.headroom import Headroom, find_headroom
from evaluator.reporting.report import Report
from evaluator.scoring.formula import FULL, NOTHING, STYLE_TERMS, TERMS, Scores, metrics_to_scores


@dataclass(frozen=True)
class StyleShare:
    """What a style's pictures give to Final together; `parts` splits it over `TERMS`."""

    style: str
    images: int
    share: float
    parts: dict[str, float]


@dataclass(frozen=True)
class PictureShare:
    """What one picture gives to Final; `parts` splits it over `TERMS`."""

    style: str
    name: str
    share: float
    parts: dict[str, float]


@dataclass(frozen=True)
class Gain:
    """By how much Final would grow if a picture had its style's median in every metric but FID.

    `metric` is the one whose replacement alone gives most, from `value` to `median`.
    """

    style: str
    name: str
    gain: float
    metric: str
    value: float
    median: float


@dataclass(frozen=True)
class Miss:
    """A picture whose prompt CLIP ranks below the first five, and the five it ranks first."""

    style: str
    name: str
    rank: int
    seen: list[str]


@dataclass(frozen=True)
class Explanation:
    """All of it for one entry. `gains` has every picture, the greatest gain first.

    `headroom` is empty where the references' bounds are not known.
    """

    entry: str
    contest: str
    profile: str
    not_comparable_because: list[str]
    scores: Scores
    intervals: dict[str, list[float]]
    styles: list[StyleShare]
    headroom: list[Headroom]
    pictures: list[PictureShare]
    gains: list[Gain]
    misses: list[Miss]

    def top_gains(self, count: int) -> list[Gain]:
        """The first `count` of those that would gain anything."""
        return [gain for gain in self.gains[:count] if gain.gain > 0]

    def top_headroom(self, count: int) -> tuple[list[Headroom], list[Headroom]]:
        """The whole entry's metrics, and the first `count` of the styles', both with the greatest gain first."""
        ranked = sorted(self.headroom, key=lambda row: -row.gain)
        return [row for row in ranked if row.style is None], [row for row in ranked if row.style is not None][:count]


def explain(report: Report, cells: Cells) -> Explanation:
    """Everything this module finds out about the entry of `report`, whose pictures are `cells`."""
    parts = cells_to_parts(cells)
    return Explanation(
        entry=report.submission.name,
        contest=report.contest,
        profile=report.profile,
        not_comparable_because=[] if report.provenance.comparable else report.provenance.not_comparable_because,
        scores=report.scores,
        intervals=report.intervals,
        styles=[
            StyleShare(style, int((cells.style == place).sum()), *_sum_parts(parts, cells.style == place))
            for place, style in enumerate(cells.styles)
        ],
        headroom=find_headroom(cells),
        pictures=[
            PictureShare(style, name, *_sum_parts(parts, np.array([row])))
            for row, (style, name) in enumerate(cells.keys)
        ],
        gains=find_gains(cells),
        misses=find_misses(report),
    )


def cells_to_parts(cells: Cells) -> dict[str, np.ndarray]:
    """What each cell gives to Final through each of `TERMS`: N each; all of them together sum to Final.

    Style and Text + Quality are sums over pictures: of a mean each picture gives its value times its weight in the
    mean. Final is their product, whose every cross term a_j b_k is halved between pictures j and k; picture i
    so gets (a_i (Text + Quality) + b_i Style) / 2, which is its Shapley value in the game where absent
    pictures give nothing (Shapley, A Value for n-Person Games, 1953). FID's term belongs to no picture and is
    shared equally. Where LPIPS is 1 or more, or FID 20 or more, the formula cuts the term off: all get 0 of it.
    """
    scores = cells_to_scores(cells)
    count = len(cells.names)
    credits = {
        **{key: cells.values[key] for key in ("dino", "hist", "clip_r", "clip_iqa")},
        "lpips": 1 - cells.values["lpips"] if scores.lpips < 1 else np.zeros(count),
        "fid": np.full(count, 1 - min(scores.fid, 20.0) / 20),
    }
    parts = {}
    for term in TERMS:
        alone = metrics_to_scores(**{**NOTHING, term: FULL[term]})
        weight = alone.style + alone.text + alone.quality  # the term's weight in the formula
        within_mean = np.full(count, 1 / count) if term in ("clip_r", "fid") else cells.shares
        other_factor = scores.text + scores.quality if term in STYLE_TERMS else scores.style
        parts[term] = weight * within_mean * credits[term] * other_factor / 2
    return parts


def find_gains(cells: Cells) -> list[Gain]:
    """Every picture's gain, greatest first, each by the formula with that picture replaced.

    A picture that takes the median takes that of all its style's pictures, its own among them; in CLIP-R it is a
    hit when more than half of them are. FID is held fixed.
    """
    scores = cells_to_scores(cells)
    now = {term: getattr(scores, term) for term in TERMS}
    medians = {key: _style_medians(cells, key) for key in MEASURED}
    shares = dict.fromkeys(MEASURED, cells.shares)
    shares["clip_r"] = np.full(len(cells.names), 1 / len(cells.names))
    gains = []
    for row, (style, name) in enumerate(cells.keys):
        then = {
            key: now[key] + float(shares[key][row] * (medians[key][row] - cells.values[key][row])) for key in MEASURED
        }
        alone = {key: _final({**now, key: then[key]}) - scores.final for key in MEASURED}
        metric = max(alone, key=lambda key: alone[key])
        value, median = float(cells.values[metric][row]), float(medians[metric][row])
        gains.append(Gain(style, name, _final({**now, **then}) - scores.final, metric, value, median))
    return sorted(gains, key=lambda gain: -gain.gain)


def find_misses(report: Report) -> list[Miss]:
    """Every picture that CLIP-R counts as wrong, in the report's order."""
    return [
        Miss(style, name, scores.clip_r_rank, scores.clip_r_top5)
        for style, images in report.images.items()
        for name, scores in sorted(images.items())
        if not scores.clip_r_correct
    ]


def _style_medians(cells: Cells, key: str) -> np.ndarray:
    """For each cell the median of its style."""
    values = cells.values[key]
    medians = np.array([np.median(values[cells.style == place]) for place in range(len(cells.styles))])
    return (medians > 0.5 if key == "clip_r" else medians)[cells.style].astype(np.float64)


def _final(metrics: dict[str, float]) -> float:
    return metrics_to_scores(**metrics).final


def _sum_parts(parts: dict[str, np.ndarray], rows: np.ndarray) -> tuple[float, dict[str, float]]:
    sums = {term: float(column[rows].sum()) for term, column in parts.items()}
    return sum(sums.values()), sums
