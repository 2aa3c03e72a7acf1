"""How far an entry's metrics are from what no picture can pass, and what Final would gain half of the way there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from evaluator.analysis.cells import MEASURED, Cells, cells_to_scores
from evaluator.scoring.formula import FULL, NOTHING, TERMS, metrics_to_scores


@dataclass(frozen=True)
class Headroom:
    """One metric of a style, or of the whole entry where `style` is None: as it is `now`, and its `bound`.

    `reached` is the share of the way from where the formula gives nothing (0; LPIPS 1, FID 20) to the bound, None where
    the bound itself gives nothing; `gain` is by how much Final would grow if half of what is left were won and all else
    stayed.
    """

    style: Optional[str]
    metric: str
    now: float
    bound: float
    reached: Optional[float]
    gain: float


def find_headroom(cells: Cells) -> list[Headroom]:
    """The whole entry's six metrics, then each style's five (FID has no figure a style).

    The references decide the bounds of DINO and LPIPS, `cells.bounds`; without them the list is empty. The other
    bounds are the ends of their scales. The entry's bounds are the means of its styles'.
    """
    if cells.bounds is None:
        return []
    scores = cells_to_scores(cells)
    now = {term: float(getattr(scores, term)) for term in TERMS}
    counts = cells.counts
    rows, whole = [], {"fid": FULL["fid"], **dict.fromkeys(MEASURED, 0.0)}
    for place, style in enumerate(cells.styles):
        for key in MEASURED:
            share = float(counts[place] / counts.sum()) if key == "clip_r" else 1 / len(counts)
            value, bound = float(cells.values[key][cells.style == place].mean()), {**FULL, **cells.bounds[style]}[key]
            rows.append(_headroom(style, key, value, bound, share, now))
            whole[key] += share * bound
    return [*(_headroom(None, term, now[term], whole[term], 1.0, now) for term in TERMS), *rows]


def _headroom(
    style: str | None, key: str, value: float, bound: float, share: float, now: Mapping[str, float]
) -> Headroom:
    """`share` is what the style counts for in the entry's metrics `now`."""
    way = bound - NOTHING[key]
    reached = (value - NOTHING[key]) / way if way * (FULL[key] - NOTHING[key]) > 0 else None
    half = {**now, key: now[key] + share * (bound - value) / 2}
    gain = metrics_to_scores(**half).final - metrics_to_scores(**now).final
    return Headroom(style, key, value, bound, reached, gain)
