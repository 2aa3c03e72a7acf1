"""The pictures that may be chosen from, several a prompt, with the figures that the evaluator gave them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from contest.errors import UserError
from evaluator.analysis.cells import MEASURED, Cells
from evaluator.metrics.fid import features_to_moments, moments_to_fid

if TYPE_CHECKING:
    from evaluator.metrics.fid import Moments


@dataclass(frozen=True)
class Candidates:
    """M pictures for N cells, each a (style, prompt) as in `evaluator.analysis.cells.Cells`.

    `style` (N ints) is each cell's place in `styles`. Row by row, in ascending order of cells: `cell` (M ints, every
    cell once or more), `way` (M ints), the same number for what was drawn in the same way (weights, seed, settings),
    the M float64 of each of `MEASURED`, and `stems` (M,D), the features that FID is made from. `real` is the moments
    of the references of all styles together, since the evaluator pools them for FID.

    Raises UserError for fewer than two cells, of which no FID is made, and for figures that are not finite.
    """

    styles: tuple[str, ...]
    style: np.ndarray
    names: tuple[str, ...]
    cell: np.ndarray
    way: np.ndarray
    values: dict[str, np.ndarray]
    stems: np.ndarray
    real: Moments

    def __post_init__(self) -> None:
        if len(self.names) < 2:
            raise UserError("choosing pictures wants two prompts or more, as FID does; draw more prompts")
        if (np.diff(self.cell) < 0).any() or not _all_there(self.cell, self.names):
            raise ValueError("rows lie in ascending order of cells, and every cell has one")
        if not _all_there(self.style, self.styles):
            raise ValueError("every style has a cell")
        figures = np.column_stack([*(self.values[key] for key in MEASURED), self.stems])
        bad = np.flatnonzero(~np.isfinite(figures).all(axis=1))
        if len(bad):
            place = self.cell[bad[0]]
            where = f"{self.styles[self.style[place]]}/{self.names[place]}"
            raise UserError(f"{where}: a candidate has a figure that is no finite number; draw and score it again")

    @property
    def keys(self) -> list[tuple[str, str]]:
        """Style and name of each cell."""
        return [(self.styles[place], name) for place, name in zip(self.style, self.names)]

    @property
    def shares(self) -> dict[str, np.ndarray]:
        """What a cell counts for in each figure of the entry, N: styles are equals in all of them but CLIP-R."""
        alike = 1 / (np.bincount(self.style) * len(self.styles))[self.style]
        pooled = np.full(len(self.names), 1 / len(self.names))
        return {key: pooled if key == "clip_r" else alike for key in MEASURED}

    def chosen(self, rows: np.ndarray) -> Cells:
        """The row of each cell, N ints -> the cells of the entry that holds these pictures, with its FID."""
        stems = self.stems[rows]
        return Cells(
            styles=self.styles,
            style=self.style,
            names=self.names,
            values={key: column[rows] for key, column in self.values.items()},
            fid=moments_to_fid(self.real, features_to_moments(stems)),
            stems=stems,
            real=self.real,
        )

    def best_rows(self, worth: np.ndarray) -> np.ndarray:
        """M figures -> for each cell the row with the largest, N ints; the first one among equals."""
        order = np.lexsort((-worth.astype(np.float64), self.cell))  # stable: equals stay in the order of rows
        return order[np.searchsorted(self.cell, np.arange(len(self.names)))]


def pool(entries: Sequence[Cells], ways: Sequence[int] | None = None) -> Candidates:
    """Entries for one contest, whole or in part -> the pictures of all of them as candidates.

    `way` is which entry, or what `ways` says of it.
    Raises UserError where the features that FID is made from are not known, or the references are not the same.
    """
    known = [(cells.stems, cells.real) for cells in entries if cells.stems is not None and cells.real is not None]
    if len(known) < len(entries):
        raise UserError("choosing pictures wants the features that FID is made from; score the entries again")
    if not all(_same(real, known[0][1]) for _, real in known):
        raise UserError("these entries were scored with other references or weights; score all with the same")
    styles = tuple(dict.fromkeys(style for cells in entries for style in cells.styles))
    rows = sorted(
        (styles.index(style), name, way, row)
        for way, cells in enumerate(entries)
        for row, (style, name) in enumerate(cells.keys)
    )
    keys = list(dict.fromkeys((place, name) for place, name, _, _ in rows))
    places = {key: number for number, key in enumerate(keys)}
    return Candidates(
        styles=styles,
        style=np.array([place for place, _ in keys]),
        names=tuple(name for _, name in keys),
        cell=np.array([places[place, name] for place, name, _, _ in rows]),
        way=np.array([way if ways is None else ways[way] for _, _, way, _ in rows]),
        values={key: np.array([entries[way].values[key][row] for _, _, way, row in rows]) for key in MEASURED},
        stems=np.stack([known[way][0][row] for _, _, way, row in rows]),
        real=known[0][1],
    )


def _all_there(numbers: np.ndarray, things: Sequence[str]) -> bool:
    return np.array_equal(np.unique(numbers), np.arange(len(things)))


def _same(one: Moments, other: Moments) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other))
