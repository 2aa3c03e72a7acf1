"""Put loaded LoRA pairs into a network's weights, for good or for a while."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jittor as jt
from jittor import nn

from jdart.lora.pairs import LoraPair, addition, coverage, require_fit
from jdart.models.paths import at


def layer_shapes(network: Any) -> dict[str, tuple[int, ...]]:
    """Layer name -> shape of the weight of every linear layer (out, in) and convolution (out, in, kh, kw)."""
    kinds = (nn.Linear, nn.Conv)
    return {name: tuple(m.weight.shape) for name, m in network.named_modules() if isinstance(m, kinds)}


def merge(network: Any, pairs: Mapping[str, LoraPair], scale: float = 1.0) -> None:
    """Add `scale` times every pair to its layer's weight, for good.

    Raises UserError, before anything is changed, when a pair fits no layer or adds what float32 cannot hold.
    """
    shapes = layer_shapes(network)
    require_fit(coverage(shapes, pairs))
    deltas = {name: addition(name, pair.fitted(shapes[name]), scale) for name, pair in pairs.items()}
    for name, delta in deltas.items():
        layer = at(network, name)
        layer.weight = (layer.weight + jt.array(delta)).stop_grad()


@contextmanager
def merged(network: Any, pairs: Mapping[str, LoraPair], scale: float = 1.0) -> Iterator[None]:
    """Merge for the length of a block; the very same weights are back afterwards."""
    shapes = layer_shapes(network)
    plain = {name: at(network, name).weight for name in pairs if name in shapes}
    merge(network, pairs, scale)
    try:
        yield
    finally:
        for name, weight in plain.items():
            at(network, name).weight = weight
