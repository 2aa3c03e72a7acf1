"""The cells of a report, one a picture, as arrays: what explaining and resampling work on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import numpy as np

from contest.errors import UserError
from evaluator.analysis.frechet import weights_to_fids
from evaluator.inputs.array_files import read_arrays
from evaluator.reporting.report import ImageScores, Report, find_report, read_report
from evaluator.scoring.formula import Scores, metrics_to_scores

if TYPE_CHECKING:
    from evaluator.metrics.fid import Moments

MEASURED = ("dino", "hist", "lpips", "clip_iqa", "clip_r")  # what every picture has; FID belongs to all together
BOUNDED = ("dino", "lpips")  # of them, whose bound in a style is not the end of the scale but the references'
FEATURES = "fid_features.npz"
_AGREE = 1e-4  # how near the features must come to the report's FID; the checker's rounding is below it
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Cells:
    """N cells, each a (style, prompt), in the order of the report's styles and then of names.

    `style` holds each cell's place in `styles` (N ints) and `values` the N float64 of each of `MEASURED`, where
    `hist` is the mean of RGB and HSV and `clip_r` 0 or 1. `stems` (N,64) and `real`, the references' moments,
    are what FID is made from; without them `fid` is known but cannot be resampled. `bounds` has for each style what no
    picture passes in each of `BOUNDED`.
    """

    styles: tuple[str, ...]
    style: np.ndarray
    names: tuple[str, ...]
    values: dict[str, np.ndarray]
    fid: float
    stems: Optional[np.ndarray] = None
    real: Optional[Moments] = None
    bounds: Optional[Mapping[str, Mapping[str, float]]] = None

    @property
    def keys(self) -> list[tuple[str, str]]:
        """Style and name of each cell."""
        return [(self.styles[place], name) for place, name in zip(self.style, self.names)]

    @property
    def counts(self) -> np.ndarray:
        """Cells of each style."""
        return np.bincount(self.style, minlength=len(self.styles))

    @property
    def shares(self) -> np.ndarray:
        """What a cell counts for in a mean over each style's cells and then over styles; N, sum 1."""
        return 1 / (self.counts * len(self.styles))[self.style]


def cells_of(report: Report, stems: np.ndarray | None = None, real: Moments | None = None) -> Cells:
    """The report's pictures as arrays. Rows of `stems` must be in the order of the cells.

    Raises UserError when the report holds no picture.
    """
    if not any(report.images.values()):
        raise UserError(f"the report of {report.submission.name} holds no pictures; score the entry again")
    return images_to_cells(report.images, report.scores.fid, stems, real)


def images_to_cells(
    images: Mapping[str, Mapping[str, ImageScores]],
    fid: float,
    stems: np.ndarray | None = None,
    real: Moments | None = None,
) -> Cells:
    """Style -> name -> what a picture scores, one or more of them, as arrays; `stems` in the order of the cells."""
    pictures = [(style, name, found[name]) for style, found in images.items() for name in sorted(found)]
    styles = tuple(style for style, found in images.items() if found)
    scores = [scores for _, _, scores in pictures]
    values = {
        "dino": [item.dino for item in scores],
        "hist": [(item.hist_rgb + item.hist_hsv) / 2 for item in scores],
        "lpips": [item.lpips for item in scores],
        "clip_iqa": [item.clip_iqa for item in scores],
        "clip_r": [item.clip_r_correct for item in scores],
    }
    return Cells(
        styles=styles,
        style=np.array([styles.index(style) for style, _, _ in pictures]),
        names=tuple(name for _, name, _ in pictures),
        values={key: np.array(column, np.float64) for key, column in values.items()},
        fid=fid,
        stems=stems,
        real=real,
    )


def read_cells(path: Path) -> tuple[Report, Cells]:
    """A report.json, or the one in a report folder or run folder, and its cells.

    The features that FID is made from lie beside it, with the bounds; where they are missing, broken or of other
    pictures, `stems` and `bounds` are None. Raises UserError as `read_report` does, and when the report's pictures do
    not give its scores.
    """
    report = read_report(path)
    cells = cells_of(report)
    found = cells_to_scores(cells)
    for item in fields(Scores):
        said, made = getattr(report.scores, item.name), getattr(found, item.name)
        if abs(said - made) > _ROUNDING:
            raise UserError(
                f"{path}: says {item.name} {said:.6f}, but its pictures give {made:.6f}; score the entry again"
            )
    return report, _with_features(cells, find_report(path).with_name(FEATURES))


def weights_to_means(cells: Cells, weights: np.ndarray) -> dict[str, np.ndarray]:
    """How often each cell is taken, B,N, in each style as many as it has -> B figures of each of `MEASURED`.

    CLIP-R is the mean over all cells, the others are means over each style's cells and then over styles.
    """
    shares = cells.shares
    means = {key: weights @ (shares * cells.values[key]) for key in MEASURED if key != "clip_r"}
    return {**means, "clip_r": weights @ cells.values["clip_r"] / len(cells.names)}


def cells_to_scores(cells: Cells) -> Scores:
    """The formula over all cells, each once, with `cells.fid`."""
    means = weights_to_means(cells, np.ones((1, len(cells.names))))
    return metrics_to_scores(fid=cells.fid, **{key: float(column[0]) for key, column in means.items()})


def pick(cells: Cells, rows: list[int]) -> Cells:
    """The cells at `rows`, in that order. FID becomes theirs where `stems` are known and two cells are left."""
    places = list(dict.fromkeys(cells.style[rows].tolist()))
    picked = replace(
        cells,
        styles=tuple(cells.styles[place] for place in places),
        style=np.array([places.index(place) for place in cells.style[rows].tolist()]),
        names=tuple(cells.names[row] for row in rows),
        values={key: column[rows] for key, column in cells.values.items()},
    )
    if cells.stems is None or cells.real is None or len(rows) < 2:
        return hold_fid(picked)
    stems = cells.stems[rows]
    fid = float(weights_to_fids(stems, np.ones((1, len(rows))), cells.real)[0])
    return replace(picked, stems=stems, fid=fid)


def hold_fid(cells: Cells) -> Cells:
    """The same cells without what FID is made from: whatever is done to them, `fid` stays."""
    return replace(cells, stems=None, real=None)


def _with_features(cells: Cells, path: Path) -> Cells:
    """The cells with stems, the references' moments and the bounds, as far as the file is of these cells."""
    try:
        file = read_arrays(path)
        with np.errstate(all="ignore"):
            stems, mean, covariance = (file[key] for key in ("outputs", "real_mean", "real_covariance"))
            if len(stems) != len(cells.names) or len(stems) < 2:
                return cells
            fid = weights_to_fids(stems, np.ones((1, len(stems))), (mean, covariance))[0]
            bounds = _read_bounds(file, cells.styles)
    except Exception:  # damaged arrays have many ways to fail, and all of them mean that nothing is known
        return cells
    near = abs(fid - cells.fid) <= _AGREE * max(1.0, abs(cells.fid))  # not so for NaN
    return replace(cells, stems=stems, real=(mean, covariance), bounds=bounds) if near else cells


def _read_bounds(file: Mapping[str, np.ndarray], styles: Sequence[str]) -> dict[str, dict[str, float]] | None:
    """Style -> metric -> bound; None where a report of an earlier version has none, or they are not these styles'."""
    columns = {key: file[f"{key}_bounds"] for key in BOUNDED if f"{key}_bounds" in file}
    good = [column.shape == (len(styles),) and np.isfinite(column).all() for column in columns.values()]
    if len(good) < len(BOUNDED) or not all(good):
        return None
    return {style: {key: float(columns[key][place]) for key in BOUNDED} for place, style in enumerate(styles)}
