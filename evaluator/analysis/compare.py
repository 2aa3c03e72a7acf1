"""Is B better than A, or is the difference noise? Paired intervals over the cells that both have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np

from contest.errors import UserError
from evaluator.analysis.bootstrap import FIGURES, draw_weights, interval, replicate, replicate_fid
from evaluator.analysis.cells import FEATURES, Cells, cells_to_scores, hold_fid, pick
from evaluator.analysis.wording import plain
from evaluator.reporting.report import Report
from evaluator.weights.folder import AESTHETIC

LOW_IS_GOOD = frozenset({"fid", "lpips"})
_SAME = 1e-6  # equal pictures have equal figures up to this: other pictures were beside them in a batch
BETTER, WORSE, NOISE, UNKNOWN = "better", "worse", "noise", "unknown"
_STYLE_FIGURES = tuple(figure for figure in FIGURES if figure != "fid")


@dataclass(frozen=True)
class Side:
    """One of the two entries; `left_out` counts its pictures that the other lacks."""

    name: str
    sha256: str
    not_comparable_because: list[str]
    left_out: int


@dataclass(frozen=True)
class Difference:
    """One figure of both, over everything (`style` None) or of one style, and B - A with its 95 % interval.

    `verdict` says what B is: "better" or "worse", as the figure counts; "noise" when the interval contains 0;
    "unknown" without an interval, where nothing could be resampled.
    """

    style: Optional[str]
    figure: str
    a: float
    b: float
    difference: float
    low: Optional[float]
    high: Optional[float]
    verdict: str


@dataclass(frozen=True)
class Comparison:
    """B against A over `cells` pictures; `contest` and `profile` are those of A.

    `notes` says what a reader must know before trusting the figures.
    """

    a: Side
    b: Side
    contest: str
    profile: str
    cells: int
    resamples: int
    seed: int
    notes: list[str]
    differences: list[Difference]


def compare(
    a: tuple[Report, Cells], b: tuple[Report, Cells], seed: int = 0, resamples: int = 1000, force: bool = False
) -> Comparison:
    """Two reports with their cells, as `read_cells` gives them -> every figure's difference.

    A style's Style, Text, Quality and Final are the formula over the style's own figures with the FID of the whole
    entry, as there is none per style. Each interval stands for itself at 95 %: of twenty figures that did not
    change, one seems to.

    Raises UserError when the two were not scored alike or have different cells, unless `force` is given: then the
    common cells are compared, every figure is theirs, and the notes say so; and when they have none in common.
    """
    (report_a, all_a), (report_b, all_b) = a, b
    reasons = _not_alike(report_a, report_b)
    only_a, only_b = set(all_a.keys) - set(all_b.keys), set(all_b.keys) - set(all_a.keys)
    if only_a or only_b:
        reasons.append(f"the pictures differ: {len(only_a)} only in A, {len(only_b)} only in B")
    if reasons and not force:
        raise UserError(f"A and B are not alike ({plain('; '.join(reasons))}); compare what they share with --force")
    keys = [key for key in all_a.keys if key not in only_a]
    if not keys:
        raise UserError("A and B have no picture in common; compare entries to the same prompts")
    notes = [f"forced: {reason}" for reason in reasons]
    for side, report in (("A", report_a), ("B", report_b)):
        if report.post_processing is not None:
            notes.append(f"{side}: {report.post_processing}")
    without = [side for side, cells in (("A", all_a), ("B", all_b)) if cells.stems is None]
    if without:
        whose = ", and is that of all pictures" if only_a or only_b else ""
        where = " and ".join(without)
        notes.append(f"FID is held fixed in every interval{whose}: no {FEATURES} that fits the report of {where}")
        all_a, all_b = hold_fid(all_a), hold_fid(all_b)  # one resampled and the other not would be no pair
    cells_a, cells_b = _common(all_a, keys), _common(all_b, keys)
    single = int((cells_a.counts == 1).sum())
    if single:
        notes.append(f"{single} of {len(cells_a.styles)} styles with one picture: nothing to resample there")
    return Comparison(
        a=_side(report_a, len(only_a)),
        b=_side(report_b, len(only_b)),
        contest=report_a.contest,
        profile=report_a.profile,
        cells=len(keys),
        resamples=resamples,
        seed=seed,
        notes=notes,
        differences=_differences(cells_a, cells_b, draw_weights(cells_a.style, resamples, seed)),
    )


def _not_alike(a: Report, b: Report) -> list[str]:
    facts = {
        "contest": (a.contest, b.contest),
        "profile": (a.profile, b.profile),
        "precision": (a.provenance.precision, b.provenance.precision),
    }
    reasons = [f"{what} {first} against {second}" for what, (first, second) in facts.items() if first != second]
    if a.provenance.references.sha256 != b.provenance.references.sha256:
        reasons.append("other references")
    first, second = (
        {name: digest for name, digest in report.provenance.weights.items() if name != AESTHETIC} for report in (a, b)
    )
    if first != second:
        reasons.append("other weights")
    return reasons


def _common(cells: Cells, keys: list[tuple[str, str]]) -> Cells:
    """The cells of `keys` in their order; the very same object, with the report's FID, when these are all."""
    places = {key: row for row, key in enumerate(cells.keys)}
    rows = [places[key] for key in keys]
    return cells if rows == list(range(len(cells.names))) else pick(cells, rows)


def _side(report: Report, left_out: int) -> Side:
    reasons = [] if report.provenance.comparable else report.provenance.not_comparable_because
    return Side(report.submission.name, report.submission.sha256, reasons, left_out)


def _differences(a: Cells, b: Cells, weights: np.ndarray) -> list[Difference]:
    fids = replicate_fid(a, weights), replicate_fid(b, weights)
    differences = _rows(None, FIGURES, (a, b), weights, fids)
    held = hold_fid(a), hold_fid(b)
    for place, style in enumerate(a.styles):
        own = np.flatnonzero(a.style == place).tolist()
        differences += _rows(style, _STYLE_FIGURES, (pick(held[0], own), pick(held[1], own)), weights[:, own], fids)
    return differences


def _rows(
    style: str | None,
    figures: tuple[str, ...],
    pair: tuple[Cells, Cells],
    weights: np.ndarray,
    fids: tuple[np.ndarray, np.ndarray],
) -> list[Difference]:
    a, b = pair
    scores_a, scores_b = cells_to_scores(a), cells_to_scores(b)
    replicates_a, replicates_b = replicate(a, weights, fids[0]), replicate(b, weights, fids[1])
    rows = []
    for figure in figures:
        first, second = getattr(scores_a, figure), getattr(scores_b, figure)
        low, high = None, None
        if (a.counts > 1).any() and (figure != "fid" or a.stems is not None):
            # what is 0 but for the order of a sum is 0
            low, high = interval(np.round(replicates_b[figure] - replicates_a[figure], 12))
        rows.append(Difference(style, figure, first, second, second - first, low, high, _verdict(figure, low, high)))
    return rows


def _verdict(figure: str, low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return UNKNOWN
    if low <= _SAME and high >= -_SAME:
        return NOISE
    return BETTER if (low > 0) != (figure in LOW_IS_GOOD) else WORSE
