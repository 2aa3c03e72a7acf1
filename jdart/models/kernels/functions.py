"""The kernels with their gradients. Sources: the headers beside this file."""

from __future__ import annotations

from typing import Any

import jittor as jt

from jdart.models.kernels.kept import once
from jdart.models.kernels.native import WIDE, call, needed, operands, whole, widened


def attend(q: jt.Var, k: jt.Var, v: jt.Var, heads: int, mask: jt.Var | None = None) -> tuple[jt.Var, jt.Var]:
    """q (B, N, C), k and v (B, M, C) and perhaps a mask (N, M) -> (B, N, C), and the log-sum-exp (B, heads, N).

    It has no gradient; `Attention` has.
    """
    inputs, (batch, queries, _) = [q, k, v] if mask is None else [q, k, v, mask], q.shape
    shapes = [q.shape, (batch, heads, queries), *_packed(k, heads)]
    out, sums, *_ = call("attention.h", "attend", inputs, shapes, heads)
    return out, sums


def _packed(k: jt.Var, heads: int) -> list[tuple[int, ...]]:
    """Room for keys and for values in the order in which they are multiplied with, whole vectors each."""
    batch, keys, width = k.shape
    depth = width // heads
    return [(batch, heads, whole(keys, WIDE), depth), (batch, heads, keys, whole(depth, WIDE))]


class Attention(jt.Function):
    """q (B, N, C), k and v (B, M, C), the number of heads and perhaps a mask (N, M) -> (B, N, C)."""

    def execute(self, q: jt.Var, k: jt.Var, v: jt.Var, heads: int, mask: jt.Var | None) -> jt.Var:
        self.inputs = [q, k, v] if mask is None else [q, k, v, mask]
        self.heads = heads
        self.outputs = once(lambda: attend(q, k, v, heads, mask))
        return self.outputs[0]

    def grad(self, dout: jt.Var) -> Any:
        q, k, v = self.inputs[:3]
        keys, values = _packed(k, self.heads)
        shapes = [q.shape, k.shape, v.shape, keys, keys, values, (2, *k.shape)]
        inputs = [*self.inputs, *self.outputs, dout]
        return (*call("attention.h", "attend_grad", inputs, shapes, self.heads)[:3], None, None)


class GroupNorm(jt.Function):
    """x (B, C, ...), frozen gain and offset (C,), groups, eps, and whether a SiLU follows -> as x."""

    def execute(self, x: jt.Var, gain: jt.Var, offset: jt.Var, *settings: float) -> jt.Var:
        self.inputs, self.settings = [x, gain, offset], settings
        return call("norm.h", "group_norm", self.inputs, [x.shape], *settings)[0]

    def grad(self, dy: jt.Var) -> Any:
        inputs = [*self.inputs, dy]
        (dx,) = call("norm.h", "group_norm_grad", inputs, [dy.shape], *self.settings)
        return (dx, None, None, *[None for _ in self.settings])


class LayerNorm(jt.Function):
    """x (..., C), frozen gain and offset (C,) and eps -> as x."""

    def execute(self, x: jt.Var, gain: jt.Var, offset: jt.Var, eps: float) -> jt.Var:
        self.x, self.gain, self.eps = x, gain, eps
        return call("norm.h", "layer_norm", [x, gain, offset], [x.shape], eps)[0]

    def grad(self, dy: jt.Var) -> Any:
        return (*call("norm.h", "layer_norm_grad", [self.x, self.gain, dy], [dy.shape], self.eps), None, None, None)


class Linear(jt.Function):
    """x (..., in), weight (out, in), perhaps a frozen bias (out,) -> (..., out)."""

    def execute(self, x: jt.Var, weight: jt.Var, bias: jt.Var | None) -> jt.Var:
        self.weight, self.x = weight, needed(x, weight)
        return call("linear.h", "linear", operands(x, weight, bias), [(*x.shape[:-1], weight.shape[0])])[0]

    def grad(self, dy: jt.Var) -> Any:
        inputs = [dy, widened(self.weight, dy)]
        (dx,) = call("linear.h", "linear_grad", inputs, [(*dy.shape[:-1], self.weight.shape[1])])
        if self.x is None:
            return dx, None, None
        return dx, *call("linear.h", "linear_grad_weight", [dy, self.x], [self.weight.shape]), None


class GEGLU(jt.Function):
    """x (..., 2n), values and then gates -> (..., n)."""

    def execute(self, x: jt.Var) -> jt.Var:
        self.x = x
        return call("gate.h", "geglu", [x], [(*x.shape[:-1], x.shape[-1] // 2)])[0]

    def grad(self, dy: jt.Var) -> Any:
        return call("gate.h", "geglu_grad", [self.x, dy], [self.x.shape])[0]


class Enlarge(jt.Function):
    """x (B, C, H, W) -> (B, C, 2 H, 2 W), every pixel four times."""

    def execute(self, x: jt.Var) -> jt.Var:
        return call("enlarge.h", "enlarge", [x], [(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])])[0]

    def grad(self, dy: jt.Var) -> Any:
        return call("enlarge.h", "enlarge_grad", [dy], [(*dy.shape[:2], dy.shape[2] // 2, dy.shape[3] // 2)])[0]


class Turn(jt.Function):
    """x (B, N, M) -> (B, M, N)."""

    def execute(self, x: jt.Var) -> jt.Var:
        return call("turn.h", "turn", [x], [(x.shape[0], x.shape[2], x.shape[1])])[0]

    def grad(self, dy: jt.Var) -> Any:
        return self.execute(dy)
