"""Final of a choice, and of the choice with one picture swapped, in the evaluator's formula."""

from __future__ import annotations

import numpy as np

from evaluator.analysis.cells import MEASURED
from evaluator.scoring.formula import metrics_to_scores
from jdart.searching.candidates import Candidates
from jdart.searching.swap_fid import Stems, SwapFid


class Table:
    """Candidates, with what each of the M adds to the entry's figures: `parts`, M,5 in the order of `MEASURED`."""

    def __init__(self, candidates: Candidates) -> None:
        self.candidates = candidates
        self.stems = Stems(candidates.stems, candidates.real)
        shares = candidates.shares
        self.parts = np.column_stack([candidates.values[key] * shares[key][candidates.cell] for key in MEASURED])

    def final(self, rows: np.ndarray) -> float:
        """Final of an entry of these N rows; FID is not rounded to float32, as the evaluator's is."""
        return Standing(self, rows).final()


class Standing:
    """A choice, the row of each cell (N ints), which takes swaps: `rows` is always the choice as it is now."""

    def __init__(self, table: Table, rows: np.ndarray) -> None:
        self.rows = rows.copy()
        self._parts = table.parts
        self._cell = table.candidates.cell
        self._fid = SwapFid(table.stems, rows)
        self._figures = table.parts[rows].sum(axis=0)

    def final(self) -> float:
        """Final as it is."""
        return _final(self._figures, self._fid.now())

    def slopes(self) -> np.ndarray:
        """How much Final gains for each of `MEASURED`, all else held fixed; 5.

        Final is linear in each of them alone: for DINO, Hist and LPIPS the slope is right*d(left), for the others
        left*d(right). LPIPS is taken as below 1, where the formula does not cut it off.
        """
        ends = np.repeat(self._figures[None], 10, axis=0)
        ends[:5][np.eye(5, dtype=bool)], ends[5:][np.eye(5, dtype=bool)] = 1, 0
        fid = self._fid.now()
        finals = [_final(figures, fid) for figures in ends]
        return np.subtract(finals[:5], finals[5:])

    def after(self, into: int) -> float:
        """Final with the row `into` in its cell's place; FID included."""
        out = self.rows[self._cell[into]]
        return _final(self._figures + self._parts[into] - self._parts[out], self._fid.after(out, into))

    def hopes(self) -> np.ndarray:
        """What Final cannot rise above with each of the M rows in its cell's place, M."""
        out = self.rows[self._cell]
        figures = self._figures + self._parts - self._parts[out]
        return np.array([_final(*each) for each in zip(figures, self._fid.floors(out).clip(min=0))])

    def swap(self, into: int) -> None:
        """Put the row `into` in its cell's place."""
        cell = self._cell[into]
        self._figures = self._figures + self._parts[into] - self._parts[self.rows[cell]]
        self._fid.swap(self.rows[cell], into)
        self.rows[cell] = into


def _final(figures: np.ndarray, fid: float) -> float:
    return metrics_to_scores(fid=float(fid), **dict(zip(MEASURED, figures.tolist()))).final
