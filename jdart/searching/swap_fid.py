"""FID of a set of pictures while single ones are swapped: what it becomes, and what it cannot fall below."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from evaluator.metrics.fid import Moments

_FLAT = 1e-8  # eigenvalues below this share of the largest count as so much, in bounds only


class Stems:
    """Features M,D of all the pictures that may be in a set, and the references' moments, as `SwapFid` needs them."""

    def __init__(self, stems: np.ndarray, real: Moments) -> None:
        mean, covariance = real
        values, vectors = np.linalg.eigh(covariance)
        self.plain = stems.astype(np.float64) - mean  # M,D: the references' mean is the origin
        self.turned = self.plain @ (vectors * np.sqrt(values.clip(min=0))) @ vectors.T  # M,D: times S1^1/2
        self.squares = (self.plain**2).sum(axis=1)
        self.trace = float(np.trace(covariance))


class SwapFid:
    """The set of the rows `rows` of `Stems` (N ints, two or more).

    FID as `evaluator.metrics.fid.moments_to_fid` defines it, in the symmetric form (the eigenvalues of S1 S2 are
    those of S1^1/2 S2 S1^1/2) and not rounded to float32. A swap changes sums of rows and of their outer products:
    mean and covariance follow by a rank-two update, without another look at the N rows.
    """

    def __init__(self, stems: Stems, rows: np.ndarray) -> None:
        self._stems = stems
        self._count = len(rows)
        self._sum = stems.plain[rows].sum(axis=0)
        self._turned_sum = stems.turned[rows].sum(axis=0)
        self._square = float(stems.squares[rows].sum())
        self._outer = stems.turned[rows].T @ stems.turned[rows]

    def now(self) -> float:
        """FID of the set."""
        return self._distance(self._sum, self._square, self._turned_sum, self._outer)

    def after(self, out: int, into: int) -> float:
        """FID of the set with the row `out` of it replaced by the row `into`."""
        return self._distance(*self._sums_after(out, into))

    def swap(self, out: int, into: int) -> None:
        """Replace the row `out` of the set by the row `into`."""
        self._sum, self._square, self._turned_sum, self._outer = self._sums_after(out, into)

    def floors(self, out: np.ndarray) -> np.ndarray:
        """For each of the M rows the one of the set that it would replace, M ints -> what FID cannot fall below, M.

        tr M^1/2 <= (tr P M + tr P^-1) / 2 for every positive definite P, with equality at P = M^-1/2. With that P of
        the set as it is, the right side is cheap for all M swaps at once, and the floor is FID's tangent.
        """
        plain, turned, squares = self._stems.plain, self._stems.turned, self._stems.squares
        values, vectors = np.linalg.eigh(self._covariance(self._turned_sum, self._outer))
        values = values.clip(min=max(values[-1] * _FLAT, np.finfo(np.float32).tiny))
        tangent = (vectors / np.sqrt(values)) @ vectors.T  # P
        own = ((turned @ tangent) * turned).sum(axis=1)
        sums = self._turned_sum + turned - turned[out]
        traces = (self._outer * tangent).sum() + own - own[out] - ((sums @ tangent) * sums).sum(axis=1) / self._count
        roots = (traces / (self._count - 1) + np.sqrt(values).sum()) / 2
        lengths = ((self._sum + plain - plain[out]) ** 2).sum(axis=1)
        spreads = (self._square + squares - squares[out] - lengths / self._count) / (self._count - 1)
        return lengths / self._count**2 + self._stems.trace + spreads - 2 * roots

    def _sums_after(self, out: int, into: int) -> tuple[np.ndarray, float, np.ndarray, np.ndarray]:
        gone, come = self._stems.turned[out], self._stems.turned[into]
        return (
            self._sum + self._stems.plain[into] - self._stems.plain[out],
            self._square + float(self._stems.squares[into] - self._stems.squares[out]),
            self._turned_sum + come - gone,
            self._outer + np.outer(come, come) - np.outer(gone, gone),
        )

    def _covariance(self, total: np.ndarray, outer: np.ndarray) -> np.ndarray:
        return (outer - np.outer(total, total) / self._count) / (self._count - 1)

    def _distance(self, total: np.ndarray, square: float, turned: np.ndarray, outer: np.ndarray) -> float:
        roots = np.sqrt(np.linalg.eigvalsh(self._covariance(turned, outer)).clip(min=0)).sum()
        length = float(total @ total)
        spread = (square - length / self._count) / (self._count - 1)
        return length / self._count**2 + self._stems.trace + spread - 2 * float(roots)
