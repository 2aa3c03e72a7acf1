"""Attentions of a UNet whose queries, keys and values somebody sees, and exchanges, before they meet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import jittor as jt
from jittor import nn

from jdart.models.networks.layers import Attention
from jdart.models.paths import at, put

# (name, the attention, its queries, keys and values (B, N, C)) -> what they attend to (B, N, C), before its projection
Visit = Callable[[str, Attention, jt.Var, jt.Var, jt.Var], jt.Var]


class _Visited(nn.Module):
    """A self-attention that `visit` computes, between its own projections."""

    def __init__(self, plain: Any, visit: Callable[[Attention, jt.Var, jt.Var, jt.Var], jt.Var]):
        self.plain, self.visit = plain, visit

    def execute(self, x: jt.Var) -> jt.Var:
        plain = self.plain
        return plain.to_out[0](self.visit(plain, plain.to_q(x), plain.to_k(x), plain.to_v(x)))


@contextmanager
def visited(unet: Any, names: Sequence[str], visit: Visit) -> Iterator[None]:
    """Let `visit` compute the named attentions while the block lasts; `layer.attend(q, k, v)` is the plain way."""
    plain = {name: at(unet, name) for name in names}
    try:
        for name, module in plain.items():
            put(unet, name, _Visited(module, partial(visit, name)))
        yield
    finally:
        for name, module in plain.items():
            put(unet, name, module)
