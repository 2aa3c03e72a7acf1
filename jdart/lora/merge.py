"""Put loaded LoRA pairs into a network's weights, for good or for a while."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jittor as jt
from jittor import nn

from jdart.lora.dora import gain
from jdart.lora.pairs import LoraPair, addition, coverage, require_fit
from jdart.models.paths import at


def layer_shapes(network: Any) -> dict[str, tuple[int, ...]]:
    """Layer name -> shape of the weight of every linear layer (out, in) and convolution (out, in, kh, kw)."""
    kinds = (nn.Linear, nn.Conv)
    return {name: tuple(m.weight.shape) for name, m in network.named_modules() if isinstance(m, kinds)}


def weights(network: Any) -> dict[str, jt.Var]:
    """Layer name -> the weight of every linear layer and convolution, as it is now."""
    return {name: at(network, name).weight for name in layer_shapes(network)}


def merge(
    network: Any, pairs: Mapping[str, LoraPair], scale: float = 1.0, plain: Mapping[str, jt.Var] | None = None
) -> None:
    """Add `scale` times every pair to its layer's weight, for good; of a DoRA, multiply the sum by what its gain is.

    `plain` are the weights that a DoRA takes its norms with, by layer: the base's, without what else is merged; None:
    those that are there. Raises UserError, before anything is changed, when a pair fits no layer or makes numbers that
    float32 cannot hold.
    """
    shapes = layer_shapes(network)
    require_fit(coverage(shapes, pairs))
    plain = weights(network) if plain is None else plain
    changes = {}
    for name, pair in pairs.items():
        fitted = pair.fitted(shapes[name])
        delta, m = addition(name, fitted, scale), fitted.magnitude
        changes[name] = delta, None if m is None else gain(name, m, plain[name].float32().numpy() + delta)
    for name, (delta, factor) in changes.items():
        layer = at(network, name)
        if factor is None:
            layer.weight = (layer.weight.float32() + jt.array(delta)).stop_grad()
        else:  # in NumPy: Jittor would compile a kernel for every shape
            layer.weight = jt.array((layer.weight.float32().numpy() + delta) * factor).stop_grad()


@contextmanager
def merged(
    network: Any, pairs: Mapping[str, LoraPair], scale: float = 1.0, plain: Mapping[str, jt.Var] | None = None
) -> Iterator[None]:
    """Merge for the length of a block; the very same weights are back afterwards."""
    before = weights(network)
    merge(network, pairs, scale, plain)
    try:
        yield
    finally:
        for name in pairs:
            at(network, name).weight = before[name]
