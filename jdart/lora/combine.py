"""Several LoRAs into one: exactly, by putting their ranks side by side, or approximately at a smaller rank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from contest.errors import UserError
from jdart.lora.pairs import LoraPair

Weighted = tuple[Mapping[str, LoraPair], float]


def combine(loras: Sequence[Weighted]) -> dict[str, LoraPair]:
    """One pair a layer that adds the weighted sum of what the given pairs add, to float32's precision.

    A holds the given A below each other, B the given B side by side, each times its scale and weight; alpha is the sum
    of the ranks. A layer that only some adapt keeps theirs, also a DoRA, whose weight is in B as PEFT has it. UserError
    when two are for layers of different shapes, and for a DoRA beside another: its gain depends on the base.
    """
    found: dict[str, list[tuple[LoraPair, float]]] = {}
    for pairs, weight in loras:
        for name, pair in pairs.items():
            found.setdefault(name, []).append((pair, weight))
    return {name: _stacked(name, parts) for name, parts in found.items()}


def truncate(pairs: Mapping[str, LoraPair], rank: int) -> tuple[dict[str, LoraPair], float]:
    """The nearest pairs of at most `rank`, and how much is lost: |lost| / |all|, Frobenius norm over all layers.

    The singular value decomposition of B A, by way of QR of the two, is that of the delta (Eckart and Young). A DoRA
    keeps its magnitude.
    """
    kept, lost, all_ = {}, 0.0, 0.0
    for name, pair in pairs.items():
        kept[name], own_lost, own_all = _truncated(pair, rank)
        lost, all_ = lost + own_lost, all_ + own_all
    return kept, float(np.sqrt(lost / all_)) if all_ > 0 else 0.0


def _stacked(name: str, parts: Sequence[tuple[LoraPair, float]]) -> LoraPair:
    shape = parts[0][0].shape
    fitted = [(pair.fitted(shape), weight) for pair, weight in parts]
    unlike = [pair.shape for pair, _ in fitted if pair.shape != shape]
    if unlike:
        raise UserError(f"{name}: one LoRA adds to {shape}, another to {unlike[0]}; they are for different bases")
    dora = any(pair.magnitude is not None for pair, _ in fitted)
    if dora and len(fitted) > 1:
        raise UserError(
            f"{name}: a DoRA and another LoRA for one layer make no LoRA without the base's weights; merge them into "
            "it (jdart lora merge ... --into BASE)"
        )
    a = np.concatenate([pair.a for pair, _ in fitted])
    with np.errstate(over="ignore", invalid="ignore"):
        b = np.concatenate([(weight * pair.scale * pair.b).astype(np.float32) for pair, weight in fitted], axis=1)
    if not np.isfinite(b).all():
        raise UserError(f"{name}: the weighted sum is too large for float32; take smaller weights")
    return LoraPair(a, b, float(len(a)), magnitude=fitted[0][0].magnitude)


def _truncated(pair: LoraPair, rank: int) -> tuple[LoraPair, float, float]:
    """The pair at most at `rank`, and the squared norms of what is lost and of all."""
    down = pair.a.reshape(pair.rank, -1).astype(np.float64)  # r,in
    up = pair.scale * pair.b.reshape(len(pair.b), -1).astype(np.float64)  # out,r
    left, up_core = np.linalg.qr(up)
    right, down_core = np.linalg.qr(down.T)
    u, s, v = np.linalg.svd(up_core @ down_core.T)
    everything = float((s**2).sum())
    if pair.rank <= rank:
        return pair, 0.0, everything
    root = np.sqrt(s[:rank])
    a = (root[:, None] * v[: len(root)] @ right.T).astype(np.float32).reshape(len(root), *pair.a.shape[1:])
    b = (left @ u[:, : len(root)] * root).astype(np.float32).reshape(len(pair.b), len(root), *pair.b.shape[2:])
    return LoraPair(a, b, float(len(root)), magnitude=pair.magnitude), float((s[rank:] ** 2).sum()), everything
