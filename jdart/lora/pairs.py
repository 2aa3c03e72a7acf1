"""Low-rank pairs as arrays, and how those of a file meet a network. No Jittor here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Optional

import numpy as np

from contest.errors import UserError


def scale_of(alpha: float, rank: int, rslora: bool) -> float:
    """What the product B A is multiplied by: alpha/rank, with rsLoRA alpha/sqrt(rank)."""
    return float(alpha / (np.sqrt(rank) if rslora else rank))


@dataclass(frozen=True)
class LoraPair:
    """The two tensors of one layer, float32, and alpha; of a DoRA also its magnitude.

    Of a linear layer: A (rank, in) and B (out, rank). Of a convolution: A (rank, in, kh, kw) and B (out, rank, 1, 1).
    """

    a: np.ndarray
    b: np.ndarray
    alpha: float
    rslora: bool = False  # divide alpha by the root of the rank (Kalajdzievski, rsLoRA, 2312.03732)
    magnitude: Optional[np.ndarray] = None  # of a DoRA, in the shapes of `jdart.lora.dora`

    @property
    def rank(self) -> int:
        return int(self.a.shape[0])

    @property
    def scale(self) -> float:
        """What the product B A is multiplied by: alpha/rank, with rsLoRA alpha/sqrt(rank)."""
        return scale_of(self.alpha, self.rank, self.rslora)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the layer's weight: (out, in) or (out, in, kh, kw)."""
        return (int(self.b.shape[0]), *map(int, self.a.shape[1:]))

    @property
    def delta(self) -> np.ndarray:
        """What the pair adds to the layer's weight, in the weight's shape; a DoRA then sets the sum's norms too."""
        product = self.b.reshape(len(self.b), -1) @ self.a.reshape(len(self.a), -1)
        return np.asarray(self.scale * product, np.float32).reshape(self.shape)

    def plain(self) -> LoraPair:
        """The same pair with its scale spelled as alpha/rank."""
        return replace(self, alpha=self.scale * self.rank, rslora=False) if self.rslora else self

    def unscaled(self) -> LoraPair:
        """The same pair with its scale in B, so that alpha equals the rank."""
        if self.scale == 1:
            return replace(self, alpha=float(self.rank), rslora=False)
        return replace(self, b=np.float32(self.scale) * self.b, alpha=float(self.rank), rslora=False)

    def fitted(self, shape: tuple[int, ...]) -> LoraPair:
        """The same pair for a weight of `shape`: a matrix and a 1x1 convolution are two spellings of one layer."""
        if len(shape) == 2 and self.a.ndim == 4 and self.a.shape[2:] == (1, 1):
            ones: tuple[int, ...] = ()
        elif len(shape) == 4 and self.a.ndim == 2 and shape[2:] == (1, 1):
            ones = (1, 1)
        else:
            return self
        a, b, m = self.a, self.b, self.magnitude
        return replace(
            self,
            a=a.reshape(*a.shape[:2], *ones),
            b=b.reshape(*b.shape[:2], *ones),
            magnitude=m if m is None else m.reshape(*m.shape[:2], *ones),
        )


@dataclass(frozen=True)
class Coverage:
    """How the pairs of a LoRA file meet a network's layers, by layer name."""

    matched: tuple[str, ...]
    missing: tuple[str, ...]  # layers of the same kinds that the file leaves as they are
    left_over: tuple[str, ...]  # pairs that fit no layer, with the reason


def coverage(shapes: Mapping[str, tuple[int, ...]], pairs: Mapping[str, LoraPair]) -> Coverage:
    """Compare `pairs` with the weight shapes of a network's layers, (out, in) or (out, in, kh, kw)."""
    matched, left_over = [], []
    for name, pair in pairs.items():
        if name not in shapes:
            left_over.append(f"{name}: no such layer")
        elif pair.fitted(shapes[name]).shape != tuple(shapes[name]):
            left_over.append(f"{name}: adds to {pair.shape}, the layer is {tuple(shapes[name])}")
        elif pair.a.shape[0] != pair.b.shape[1] or pair.rank == 0:
            left_over.append(f"{name}: ranks of A {pair.a.shape} and B {pair.b.shape} differ")
        else:
            matched.append(name)
    kinds = {_kind(name) for name in matched}
    missing = [name for name in shapes if _kind(name) in kinds and name not in pairs]
    return Coverage(tuple(matched), tuple(missing), tuple(left_over))


def require_fit(report: Coverage) -> None:
    """Raise UserError when a pair is left over."""
    if report.left_over:
        more = f"; and {len(report.left_over) - 3} more" if len(report.left_over) > 3 else ""
        raise UserError(
            f"the LoRA does not fit this base: {'; '.join(report.left_over[:3])}{more}; "
            "take the base that it was trained on, or train again"
        )


def addition(name: str, pair: LoraPair, weight: float) -> np.ndarray:
    """`weight` times what `pair` adds to layer `name`, float32. UserError when that is too large for float32."""
    with np.errstate(over="ignore", invalid="ignore"):
        delta = np.asarray(weight * pair.delta, np.float32)
    if not np.isfinite(delta).all():
        raise UserError(
            f"{name}: alpha {pair.alpha:g} at rank {pair.rank}, with weight {weight:g}, makes numbers too large for "
            "float32; take a smaller weight, or train again"
        )
    return delta


def _kind(name: str) -> str:
    """The last word of a layer's name that is no number: the target it answers to."""
    return [word for word in name.split(".") if not word.isdigit()][-1]
