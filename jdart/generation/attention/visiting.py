"""Attentions of a UNet whose queries, keys and values somebody sees, and exchanges, before they meet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import jittor as jt
from jittor import nn

from jdart.models.networks.layers import Attention
from jdart.models.paths import at, exchanged

# (name, the attention, its queries, keys and values (B, N, C)) -> what they attend to (B, N, C), before its projection
Visit = Callable[[str, Attention, jt.Var, jt.Var, jt.Var], jt.Var]


class _Visited(nn.Module):
    """A self-attention that `visit` computes, between its own projections."""

    def __init__(self, plain: Any, visit: Callable[[Attention, jt.Var, jt.Var, jt.Var], jt.Var]):
        self.plain, self.visit = plain, visit

    def execute(self, x: jt.Var) -> jt.Var:
        plain = self.plain
        return plain.to_out[0](self.visit(plain, plain.to_q(x), plain.to_k(x), plain.to_v(x)))


def visited(unet: Any, names: Sequence[str], visit: Visit) -> AbstractContextManager[None]:
    """Let `visit` compute the named attentions while the block lasts; `layer.attend(q, k, v)` is the plain way."""
    return exchanged(unet, {name: _Visited(at(unet, name), partial(visit, name)) for name in names})
