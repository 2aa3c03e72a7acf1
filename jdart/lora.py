"""Low-rank adapters on the linear layers of a network: add them, train them, put loaded ones in, merge them.

Source: Hu et al., LoRA, 2106.09685. Vocabulary and initialisation are those of PEFT's LoraConfig: `lora_A` (rank, in)
is gaussian with deviation 1/rank, `lora_B` (out, rank) is zero, the sum is scaled by alpha/rank.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jittor as jt
import numpy as np
from jittor import nn

from submission.errors import UserError


@dataclass(frozen=True)
class LoraPair:
    """The two matrices of one layer, float32: A (rank, in), B (out, rank), and alpha."""

    a: np.ndarray
    b: np.ndarray
    alpha: float

    @property
    def rank(self) -> int:
        return int(self.a.shape[0])

    @property
    def delta(self) -> np.ndarray:
        """What the pair adds to the layer's weight: (out, in)."""
        return (self.alpha / self.rank) * (self.b @ self.a)


class LoraLinear(nn.Module):
    """A frozen linear layer with a trainable low-rank addition. Same shapes in and out as the layer it holds."""

    def __init__(self, linear: nn.Linear, a: np.ndarray, b: np.ndarray, alpha: float, dropout: float):
        self.linear = linear
        self.lora_A = jt.array(a)
        self.lora_B = jt.array(b)
        self.alpha, self.dropout = alpha, dropout

    def execute(self, x: jt.Var) -> jt.Var:
        dropped = nn.dropout(x, p=self.dropout, is_train=True) if self.dropout > 0 and self.is_training() else x
        down = nn.matmul_transpose(dropped, self.lora_A)  # ..., rank
        return self.linear(x) + nn.matmul_transpose(down, self.lora_B) * (self.alpha / self.lora_A.shape[0])

    def pair(self) -> LoraPair:
        return LoraPair(self.lora_A.numpy(), self.lora_B.numpy(), self.alpha)


def inject(
    network: Any, rank: int, alpha: float, targets: Sequence[str], dropout: float, rng: np.random.Generator
) -> dict[str, LoraLinear]:
    """Put a fresh adapter on every linear layer whose name ends in one of `targets`; layer name -> adapter.

    Everything else in the network is frozen. Raises UserError for a rank below 1 or when a target fits no layer.
    """
    if rank < 1:
        raise UserError(f"LoRA rank is {rank}; it must be at least 1")
    names = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    idle = [target for target in targets if not any(_ends(name, target) for name in names)]
    if idle:
        raise UserError(f"LoRA targets that fit no linear layer: {', '.join(idle)}")
    for parameter in network.parameters():
        parameter.stop_grad()
    adapters = {}
    for name in names:
        if any(_ends(name, target) for target in targets):
            out_width, in_width = _at(network, name).weight.shape
            a = (rng.standard_normal((rank, in_width)) / rank).astype(np.float32)
            adapters[name] = LoraLinear(_at(network, name), a, np.zeros((out_width, rank), np.float32), alpha, dropout)
            _put(network, name, adapters[name])
    return adapters


def remove(network: Any, adapters: Mapping[str, LoraLinear]) -> None:
    """Put the plain layers back, as they were before `inject`."""
    for name, adapter in adapters.items():
        _put(network, name, adapter.linear)


@dataclass(frozen=True)
class Coverage:
    """How the pairs of a LoRA file meet a network's linear layers, by layer name."""

    matched: tuple[str, ...]
    missing: tuple[str, ...]  # layers of the same kinds that the file leaves as they are
    left_over: tuple[str, ...]  # pairs that fit no layer, with the reason


def coverage(shapes: Mapping[str, tuple[int, ...]], pairs: Mapping[str, LoraPair]) -> Coverage:
    """Compare `pairs` with the weight shapes (out, in) of a network's linear layers."""
    matched, left_over = [], []
    for name, pair in pairs.items():
        shape = (pair.b.shape[0], pair.a.shape[1])
        if name not in shapes:
            left_over.append(f"{name}: no such layer")
        elif tuple(shapes[name]) != shape:
            left_over.append(f"{name}: adds to {shape}, the layer is {tuple(shapes[name])}")
        elif pair.a.shape[0] != pair.b.shape[1] or pair.rank == 0:
            left_over.append(f"{name}: ranks of A {pair.a.shape} and B {pair.b.shape} differ")
        else:
            matched.append(name)
    kinds = {_kind(name) for name in matched}
    missing = [name for name in shapes if _kind(name) in kinds and name not in pairs]
    return Coverage(tuple(matched), tuple(missing), tuple(left_over))


def linear_shapes(network: Any) -> dict[str, tuple[int, ...]]:
    """Layer name -> (out, in) of every linear layer."""
    return {name: tuple(m.weight.shape) for name, m in network.named_modules() if isinstance(m, nn.Linear)}


def merge(network: Any, pairs: Mapping[str, LoraPair], scale: float = 1.0) -> None:
    """Add `scale` times every pair to its layer's weight, for good. Raises UserError when a pair fits no layer."""
    report = coverage(linear_shapes(network), pairs)
    if report.left_over:
        more = f"; and {len(report.left_over) - 3} more" if len(report.left_over) > 3 else ""
        raise UserError(
            f"the LoRA does not fit this base: {'; '.join(report.left_over[:3])}{more}; "
            "take the base that it was trained on, or train again"
        )
    for name, pair in pairs.items():
        layer = _at(network, name)
        layer.weight = (layer.weight + jt.array((scale * pair.delta).astype(np.float32))).stop_grad()


@contextmanager
def merged(network: Any, pairs: Mapping[str, LoraPair], scale: float = 1.0) -> Iterator[None]:
    """Merge for the length of a block; the very same weights are back afterwards."""
    plain = {name: _at(network, name).weight for name in pairs if name in linear_shapes(network)}
    merge(network, pairs, scale)
    try:
        yield
    finally:
        for name, weight in plain.items():
            _at(network, name).weight = weight


def _ends(name: str, target: str) -> bool:
    return name == target or name.endswith("." + target)


def _kind(name: str) -> str:
    """The last word of a layer's name that is no number: the target it answers to."""
    return [word for word in name.split(".") if not word.isdigit()][-1]


def _at(network: Any, name: str) -> Any:
    for word in name.split("."):
        network = network[int(word)] if word.isdigit() else getattr(network, word)
    return network


def _put(network: Any, name: str, module: Any) -> None:
    head, _, leaf = name.rpartition(".")
    parent = _at(network, head) if head else network
    if leaf.isdigit():
        parent.layers[list(parent.layers)[int(leaf)]] = module
    else:
        setattr(parent, leaf, module)
