"""Large pictures through a network in overlapping tiles: less memory, at the price of faint differences at the seams.

As diffusers' `enable_vae_tiling` does it: tiles overlap by a quarter, and in the overlap one fades into the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

import jittor as jt
import numpy as np

OVERLAP = 0.25  # of a tile's side


def tiled(function: Callable[[jt.Var], jt.Var], x: jt.Var, tile: int, scale: Fraction) -> jt.Var:
    """`function` of (B, C, H, W), tile by tile, where one of `tile` cells makes `tile` * `scale` (B, D, ...) cells.

    No gradient passes. A picture that is no larger than a tile goes through whole.
    """
    if max(x.shape[2:]) <= tile:
        return function(x)
    total: np.ndarray | None = None
    height, width = (int(side * scale) for side in x.shape[2:])
    for top, rows in _spans(x.shape[2], tile, scale):
        for left, columns in _spans(x.shape[3], tile, scale):
            part = function(x[:, :, top : top + tile, left : left + tile]).numpy()
            if total is None:
                total = np.zeros((*part.shape[:2], height, width), np.float32)
            y, z = int(top * scale), int(left * scale)
            weights = rows[:, None] * columns[None]
            total[:, :, y : y + len(rows), z : z + len(columns)] += part * weights.astype(np.float32)
    return jt.array(total)


def _spans(side: int, tile: int, scale: Fraction) -> Iterator[tuple[int, np.ndarray]]:
    """Where tiles start along a side, and how much each counts at each cell of its result; the counts add up to one."""
    stride = int(tile * (1 - OVERLAP))
    starts = range(0, max(side - tile + stride, 1), stride)
    for start in starts:
        length = int(min(tile, side - start) * scale)
        fade = min(int((tile - stride) * scale), length)
        weights = np.ones(length)
        if start > 0:
            weights[:fade] = np.arange(fade) / fade
        if start != starts[-1]:
            weights[-fade:] = 1 - np.arange(fade) / fade
        yield start, weights
