"""Sliced optimal transport of colours: along a direction, sorted colours go to sorted colours (2503.19034)."""

from __future__ import annotations

import numpy as np

from jdart.data.seeds import rng_for

SAMPLES = 16384  # colours of a palette that are looked at


class Palette:
    """Colours (M, 3) that others are to be moved to, seen along the axes of red, green and blue and of rotations."""

    def __init__(self, colours: np.ndarray, rotations: int):
        rng = rng_for("sliced palette")
        chosen = rng.permutation(len(colours))[:SAMPLES]
        axes = [np.eye(3), *(_rotation(rng) for _ in range(rotations))]
        self.directions = np.concatenate(axes, axis=1)  # (3, K)
        self.sorted = np.sort(colours[chosen].astype(np.float64) @ self.directions, axis=0)

    def moves(self, colours: np.ndarray) -> np.ndarray:
        """Colours (N, 3) -> what each is to be moved by (N, 3).

        It is 3 N / 2 times the negative gradient of `distance`: all of the way, were there three directions only.
        """
        along = colours @ self.directions
        order = np.argsort(along, axis=0, kind="stable")
        goal = np.empty_like(along)
        np.put_along_axis(goal, order, self._quantiles(len(colours)), axis=0)
        return (goal - along) @ self.directions.T * (3 / self.directions.shape[1])

    def distance(self, colours: np.ndarray) -> float:
        """Mean square over directions and colours (N, 3) of how far these are from the palette, sorted along each."""
        along = np.sort(colours @ self.directions, axis=0)
        return float(((along - self._quantiles(len(colours))) ** 2).mean())

    def _quantiles(self, count: int) -> np.ndarray:
        """(count, K): as many colours of the palette, evenly spaced along each direction."""
        place = ((np.arange(count) + 0.5) / count * len(self.sorted) - 0.5).clip(0, len(self.sorted) - 1)
        below = place.astype(np.int64)
        above = np.minimum(below + 1, len(self.sorted) - 1)
        share = (place - below)[:, None]
        return self.sorted[below] * (1 - share) + self.sorted[above] * share


def _rotation(rng: np.random.Generator) -> np.ndarray:
    """(3, 3) orthogonal, evenly distributed: QR of normal numbers with the signs taken out."""
    q, r = np.linalg.qr(rng.standard_normal((3, 3)))
    return q * np.sign(np.diag(r))
