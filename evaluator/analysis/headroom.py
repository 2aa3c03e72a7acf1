"""How far an entry's metrics are from what no picture can pass, and what Final would gain half of the way there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np

from evaluator.analysis.cells import MEASURED, Cells, cells_to_scores
from evaluator.analysis.explain import FULL, NOTHING, TERMS
from evaluator.scoring.formula import metrics_to_scores


@dataclass(frozen=True)
class Headroom:
    """One metric of a style, or of the whole entry where `style` is None: as it is `now`, and its `bound`.

    `reached` is the share of the way from where the formula gives nothing (0; LPIPS 1, FID 20) to the bound; `gain` is
    by how much Final would grow if half of what is left were won and all else stayed.
    """

    style: Optional[str]
    metric: str
    now: float
    bound: float
    reached: float
    gain: float


def dino_ceiling(direction: np.ndarray) -> float:
    """What the style's references keep, the mean D of their unit features -> the largest DINO a picture can have.

    DINO is the product of that mean with a vector of length 1, so that it cannot exceed the mean's length.
    """
    return float(np.linalg.norm(direction))


def lpips_floor(maps: Sequence[np.ndarray], energy: float, heads: Sequence[np.ndarray]) -> float:
    """What the style's references keep, mean maps C,H,W and mean energy, and a head C a map -> the least LPIPS.

    mean_j w|a - b_j|^2 = w|a - m|^2 + mean_j w|b_j - m|^2 with m the mean of the b_j: the second term, the references'
    own spread, is there for every picture, since LPIPS' weights are not negative. It is half of the mean LPIPS of the
    references with each other, each with itself too.
    """
    middle = sum(
        float(np.square(each, dtype=np.float64).mean(axis=(1, 2)) @ head.astype(np.float64))
        for each, head in zip(maps, heads)
    )
    return energy - middle


def find_headroom(cells: Cells, bounds: Mapping[str, Mapping[str, float]]) -> list[Headroom]:
    """The whole entry's six metrics, then each style's five (FID has no figure a style).

    `bounds` gives for each of the cells' styles those of "dino" and "lpips"; the other metrics' are the ends of their
    scales, which no picture need reach. The entry's bounds are the means of its styles'.
    """
    scores = cells_to_scores(cells)
    now = {term: float(getattr(scores, term)) for term in TERMS}
    counts = cells.counts
    rows, whole = [], dict.fromkeys(TERMS, 0.0)
    for place, style in enumerate(cells.styles):
        for key in MEASURED:
            share = float(counts[place] / counts.sum()) if key == "clip_r" else 1 / len(counts)
            value, bound = float(cells.values[key][cells.style == place].mean()), {**FULL, **bounds[style]}[key]
            rows.append(_headroom(style, key, value, bound, share, now))
            whole[key] += share * bound
    return [*(_headroom(None, term, now[term], whole[term], 1.0, now) for term in TERMS), *rows]


def _headroom(
    style: str | None, key: str, value: float, bound: float, share: float, now: Mapping[str, float]
) -> Headroom:
    """`share` is what the style counts for in the entry's metrics `now`."""
    way = bound - NOTHING[key]
    half = {**now, key: now[key] + share * (bound - value) / 2}
    gain = metrics_to_scores(**half).final - metrics_to_scores(**now).final
    return Headroom(style, key, value, bound, (value - NOTHING[key]) / way if way else 1.0, gain)
