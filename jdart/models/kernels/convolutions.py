"""Convolutions as they are frequent here, with their gradients. Sources: the headers beside this file."""

from __future__ import annotations

from typing import Any

import jittor as jt

from jdart.models.kernels.native import LINE, WIDE, call, needed, operands, whole, widened

STEP, POINTS, DEEP = 4, 36, 320  # as in winograd.h and lanes.h
GAP = 16  # numbers between two points' in memory; GAP in winograd.h
TILES = 72  # of which the products are computed together; BLOCK in winograd.h
ROOM = 1 << 20  # numbers at the points of tiles, or in columns, that are at hand at once: what a cache holds
KEPT = 1 << 24  # numbers at the points of weights, at most, that are made once and kept for all tiles
ACROSS = 128  # pixels of a block of columns' results; ACROSS in columns.h
FEW = 6  # tiles for which the weights are not worth the way to their points


def convolve(x: jt.Var, weight: jt.Var, bias: jt.Var | None, *window: tuple[int, int]) -> jt.Var:
    """x (B, C, H, W), weight (O, C, kh, kw), perhaps a frozen bias (O,); stride, padding and dilation, each (y, x)."""
    if (tuple(weight.shape[2:]), *window) == ((1, 1), (1, 1), (0, 0), (1, 1)):
        return Pointwise()(x, weight, bias)
    if (tuple(weight.shape[2:]), *window) == ((3, 3), (1, 1), (1, 1), (1, 1)) and _tiles(x) >= FEW:
        return Winograd()(x, weight, bias)
    return Columns()(x, weight, bias, *window)


class Winograd(jt.Function):
    """3x3, stride 1, padding 1: x (B, C, H, W), weight (O, C, 3, 3), perhaps a frozen bias (O,) -> (B, O, H, W)."""

    def execute(self, x: jt.Var, weight: jt.Var, bias: jt.Var | None) -> jt.Var:
        self.weight, self.x = weight, needed(x, weight)
        return _winograd("convolve", operands(x, weight, bias), weight.shape[0])

    def grad(self, dy: jt.Var) -> Any:
        dx = _winograd("convolve_grad", [dy, widened(self.weight, dy)], self.weight.shape[1])
        if self.x is None:
            return dx, None, None
        return dx, jt.mkl_ops.mkl_conv_backward_w(self.x, dy, 3, 3, 1, 1, 1, 1, 1, 1), None


def _winograd(function: str, inputs: list[jt.Var], outs: int) -> jt.Var:
    """What `function` gives. What it works in are further results, so that their memory is Jittor's."""
    batch, ins, height, width = inputs[0].shape
    tiles, deep, wide = _tiles(inputs[0]), whole(ins, LINE), whole(outs, WIDE)
    room = min(tiles, max(1, ROOM // (POINTS * deep * TILES)) * TILES)
    kept = POINTS * (deep + whole(deep, DEEP) // DEEP * GAP) * wide
    points = kept if tiles > TILES and kept <= KEPT else 1
    across = whole(width, STEP) // STEP
    rows = min(tiles // across, (room - 2) // across + 2)  # of tiles, at most, that so many are in
    padded = (rows, deep, STEP + 2, whole(width, STEP) + 2)
    working = [padded, (POINTS, room * deep + GAP), (points,)]
    return call("winograd.h", function, inputs, [(batch, outs, height, width), *working])[0]


def _tiles(x: jt.Var) -> int:
    """In how many squares of 4x4 pixels it is cut."""
    batch, _, height, width = x.shape
    return batch * whole(height, STEP) * whole(width, STEP) // STEP**2


class Pointwise(jt.Function):
    """1x1, stride 1: x (B, C, H, W), weight (O, C, 1, 1), perhaps a frozen bias (O,) -> (B, O, H, W)."""

    def execute(self, x: jt.Var, weight: jt.Var, bias: jt.Var | None) -> jt.Var:
        self.shape, self.weight, self.x = x.shape, weight, needed(x, weight)
        inputs = operands(x, weight, bias)
        return call("pointwise.h", "pointwise", inputs, [(x.shape[0], weight.shape[0], *x.shape[2:])])[0]

    def grad(self, dy: jt.Var) -> Any:
        turned = widened(self.weight, dy).reshape((self.weight.shape[0], -1)).transpose(1, 0)
        (dx,) = call("pointwise.h", "pointwise", [dy, turned], [self.shape])
        if self.x is None:
            return dx, None, None
        return dx, *call("pointwise.h", "pointwise_grad_weight", [dy, self.x], [self.weight.shape]), None


class Columns(jt.Function):
    """Any stride, padding and dilation (y, x): x (B, C, H, W), weight (O, C, kh, kw), perhaps a frozen bias (O,)."""

    def execute(self, x: jt.Var, weight: jt.Var, bias: jt.Var | None, *window: tuple[int, int]) -> jt.Var:
        self.shape, self.weight, self.x = x.shape, weight, needed(x, weight)
        self.window = [number for pair in window for number in pair]
        sides = zip(x.shape[2:], weight.shape[2:], *window)
        size = [(n + 2 * pad - dilation * (kernel - 1) - 1) // step + 1 for n, kernel, step, pad, dilation in sides]
        self.columns = _columns(weight.numel() // weight.shape[0], size[0] * size[1])
        shapes = [(x.shape[0], weight.shape[0], *size), self.columns]
        return call("columns.h", "convolve_columns", operands(x, weight, bias), shapes, *self.window)[0]

    def grad(self, dy: jt.Var) -> Any:
        inputs, shapes = [dy, widened(self.weight, dy)], [self.shape, self.columns]
        dx = call("columns.h", "convolve_columns_grad", inputs, shapes, *self.window)[0]
        if self.x is None:
            return dx, None, None, None, None, None
        dw = jt.mkl_ops.mkl_conv_backward_w(self.x, dy, *self.weight.shape[2:], *self.window)
        return dx, dw, None, None, None, None


def _columns(deep: int, pixels: int) -> tuple[int, int]:
    """Room for the columns of so many pixels at once, each as long as a weight."""
    return min(pixels, max(ACROSS, ROOM // deep)), deep
