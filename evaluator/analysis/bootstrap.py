"""How far a score would move with other prompts: a bootstrap over the cells of each style."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from evaluator.analysis.cells import Cells, weights_to_means
from evaluator.analysis.frechet import weights_to_fids
from evaluator.scoring.formula import RANGES, Scores, metrics_to_scores

FIGURES = tuple(item.name for item in fields(Scores))
_ENDS = (0.025, 0.975)  # of a 95 % interval


def draw_weights(style: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """The style of each of N cells -> how often each resample takes each cell: B,N counts.

    Within each style as many cells are drawn, with replacement, as it has (a stratified bootstrap: every style keeps
    its say). Two entries with the same cells get the same draws, which makes their difference a paired one.
    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapters 8 and 13.
    """
    random = np.random.default_rng(seed)
    weights = np.zeros((resamples, len(style)), np.int64)
    for place in range(int(style.max()) + 1):
        own = np.flatnonzero(style == place)
        weights[:, own] = random.multinomial(len(own), np.full(len(own), 1 / len(own)), size=resamples)
    return weights


def replicate_fid(cells: Cells, weights: np.ndarray) -> np.ndarray:
    """FID of each resample, B; `cells.fid` in all of them where the features are not known.

    A resample has fewer distinct pictures than the entry, and FID grows as pictures grow fewer: replicates lie
    above the score by about the bias that a set of this size has, once more. What belongs to the interval is their
    spread, so they are moved to have their mean at the score. Where FID is very small, `replicate` ends them at 0.
    """
    if cells.stems is None or cells.real is None:
        return np.full(len(weights), cells.fid)
    fids = weights_to_fids(cells.stems, weights, cells.real)
    return fids - (fids.mean() - cells.fid)


def replicate(cells: Cells, weights: np.ndarray, fid: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Counts B,N of `draw_weights` -> B values of each field of Scores, by the published formula.

    `fid` (B) gives FID's values where they are not those of `replicate_fid`. No metric leaves its range.
    """
    means = {**weights_to_means(cells, weights), "fid": replicate_fid(cells, weights) if fid is None else fid}
    columns = {key: np.clip(values, *RANGES[key]) for key, values in means.items()}
    rows = zip(*(column.tolist() for column in columns.values()))
    scores = [metrics_to_scores(**dict(zip(columns, row))) for row in rows]
    return {figure: np.array([getattr(score, figure) for score in scores]) for figure in FIGURES}


def interval(values: np.ndarray) -> tuple[float, float]:
    """The ends of the 95 % percentile interval of B replicates."""
    low, high = np.quantile(values, _ENDS)
    return float(low), float(high)


def intervals(cells: Cells, resamples: int = 1000, seed: int = 0) -> dict[str, list[float]]:
    """The 95 % interval of every field of Scores: how sure a figure is, given that other prompts might have come.

    Networks, references and styles are held fixed; so is FID where its features are not known (both ends are then
    the figure itself).
    """
    replicates = replicate(cells, draw_weights(cells.style, resamples, seed))
    return {figure: list(interval(values)) for figure, values in replicates.items()}
