"""One picture a prompt out of several, so that Final is as large as can be found.

Final = left x right, and all but FID adds up picture by picture. First, with FID held fixed, each cell takes the
candidate of the largest right*d(left) + left*d(right), both sides are renewed, and so on until nothing changes. Then
single pictures are swapped by Final itself, FID included, until no swap gains. Both find a local optimum, so they
start from several places and the best end counts.

A choice by the score flatters itself (the winner's curse): its Final is an upper estimate of what the same settings
reach with other seeds or other references.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from evaluator.analysis.cells import cells_to_scores
from evaluator.scoring.formula import Scores
from jdart.searching.candidates import Candidates
from jdart.searching.standing import Standing, Table

_STARTS = 4  # ends of the closed form that swaps start from
_LEAST = 1e-8  # the smallest gain in Final that is worth a swap; rounding in FID changes as much


@dataclass(frozen=True)
class Choice:
    """The row of `Candidates` that each cell takes (N ints) and the scores of an entry that holds these pictures.

    `plain` is the scores of the best entry drawn in one way throughout.
    """

    rows: np.ndarray
    scores: Scores
    plain: Scores


def choose(candidates: Candidates) -> Choice:
    """The choice with the largest Final that was found.

    It is never worse than one way for all cells (the first candidate where a cell has none of that way), and no
    other candidate of any one cell gains more than 1e-8. Among equals the first is taken; nothing is random.
    """
    table = Table(candidates)
    constants = [candidates.best_rows(candidates.way == way) for way in np.unique(candidates.way)]
    plain = max(constants, key=table.final)
    closed = sorted(_distinct(_renewed(table, rows) for rows in constants), key=table.final, reverse=True)
    rows = max((_swapped(table, rows) for rows in _distinct([*closed[:_STARTS], plain])), key=table.final)
    return Choice(rows, *(cells_to_scores(candidates.chosen(each)) for each in (rows, plain)))


def swap_finals(candidates: Candidates, rows: np.ndarray) -> np.ndarray:
    """Final with each candidate in its cell's place and all other cells as chosen (N rows) -> M; FID included."""
    standing = Standing(Table(candidates), rows)
    return np.array([standing.after(into) for into in range(len(candidates.cell))])


def _distinct(choices: Iterable[np.ndarray]) -> list[np.ndarray]:
    return list({rows.tobytes(): rows for rows in choices}.values())


def _renewed(table: Table, rows: np.ndarray) -> np.ndarray:
    """The closed form with FID held fixed, its multipliers from `rows` first: the best of its rounds."""
    rounds: dict[bytes, np.ndarray] = {}
    while rows.tobytes() not in rounds:
        rounds[rows.tobytes()] = rows
        rows = table.candidates.best_rows(table.parts @ Standing(table, rows).slopes())
    return max(rounds.values(), key=table.final)


def _swapped(table: Table, rows: np.ndarray) -> np.ndarray:
    """Swaps of single pictures until none gains, the most promising first."""
    final = table.final(rows)
    while True:
        better = _sweep(table, rows)
        then = table.final(better)
        if then <= final + _LEAST:
            return rows
        rows, final = better, then


def _sweep(table: Table, rows: np.ndarray) -> np.ndarray:
    standing = Standing(table, rows)
    final, hopes = standing.final(), standing.hopes()
    order = np.argsort(-hopes, kind="stable")
    for into in order[hopes[order] > final + _LEAST].tolist():
        then = standing.after(into)
        if then > final + _LEAST:
            standing.swap(into)
            final = then
    return standing.rows
