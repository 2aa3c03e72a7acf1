"""The layers that the UNet, the VAE and the text encoder share. Attribute names are those of the checkpoints."""

from __future__ import annotations

from collections.abc import Sequence

import jittor as jt
from jittor import nn

from jdart.models.kernels import functions as kernels
from jdart.models.kernels.convolutions import convolve
from jdart.models.kernels.native import serves


def fixed(parameter: jt.Var | None) -> bool:
    """Whether no gradient of it can be asked for."""
    return parameter is None or jt.flags.no_grad == 1 or parameter.is_stop_grad()


def frozen(layer: nn.Module) -> bool:
    """Whether no gradient of the layer's own weight can be asked for: kernels compute none."""
    return fixed(layer.weight)


def normalise(x: jt.Var, dims: Sequence[int], eps: float) -> jt.Var:
    """Subtract the mean and divide by the standard deviation over `dims`, in two passes.

    Jittor's own norms take E[x^2] - E[x]^2, which loses precision when the mean is large.
    """
    centred = x - x.mean(dims, keepdims=True)
    variance = (centred * centred).mean(dims, keepdims=True)
    return centred / jt.sqrt(variance + eps)


class GroupNorm(nn.Module):
    """Group normalisation over (B, C, ...) with `groups` groups of channels."""

    def __init__(self, groups: int, channels: int, eps: float):
        self.groups, self.eps = groups, eps
        self.weight = jt.ones((channels,))
        self.bias = jt.zeros((channels,))

    def execute(self, x: jt.Var, silu: bool = False) -> jt.Var:
        """Normalise x, and apply a SiLU to it if asked for."""
        if serves(x) and frozen(self):
            return kernels.GroupNorm()(x, self.weight, self.bias, self.groups, self.eps, silu)
        shape = x.shape
        y = normalise(x.reshape((shape[0], self.groups, -1)), [2], self.eps).reshape(shape)
        per_channel = (1, shape[1]) + (1,) * (len(shape) - 2)
        y = y * self.weight.reshape(per_channel) + self.bias.reshape(per_channel)
        return nn.silu(y) if silu else y


class LayerNorm(nn.Module):
    """Layer normalisation over the last dimension."""

    def __init__(self, width: int, eps: float = 1e-5):
        self.eps = eps
        self.weight = jt.ones((width,))
        self.bias = jt.zeros((width,))

    def execute(self, x: jt.Var) -> jt.Var:
        if serves(x) and frozen(self):
            return kernels.LayerNorm()(x, self.weight, self.bias, self.eps)
        return normalise(x, [-1], self.eps) * self.weight + self.bias


def linear(x: jt.Var, weight: jt.Var, bias: jt.Var | None = None) -> jt.Var:
    """x (..., in) times the transpose of weight (out, in), plus bias (out,)."""
    if serves(x) and fixed(bias):
        return kernels.Linear()(x, weight, bias)
    y = nn.matmul_transpose(x, _as_precise(weight, x))
    return y if bias is None else y + bias


class Linear(nn.Linear):
    """Jittor's linear layer, computed by `linear`."""

    def execute(self, x: jt.Var) -> jt.Var:
        return linear(x, self.weight, self.bias)


def conv2d(
    x: jt.Var,
    weight: jt.Var,
    bias: jt.Var | None,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    groups: int = 1,
) -> jt.Var:
    """A convolution of x (B, C, H, W) with weight (O, C / groups, kh, kw), plus bias (O,)."""
    if groups == 1 and serves(x) and fixed(bias):
        return convolve(x, weight, bias, stride, padding, dilation)
    return nn.conv2d(x, _as_precise(weight, x), bias, stride, padding, dilation, groups)


def turned(x: jt.Var) -> jt.Var:
    """x (B, N, M) -> (B, M, N)."""
    return kernels.Turn()(x) if serves(x) else x.transpose(0, 2, 1)


def _as_precise(weight: jt.Var, x: jt.Var) -> jt.Var:
    """A weight that may be kept in float16, in the number type that is computed with."""
    return weight if weight.dtype == x.dtype else weight.cast(x.dtype)


class Conv(nn.Conv):
    """Jittor's convolution layer, computed by `conv2d`."""

    def execute(self, x: jt.Var) -> jt.Var:
        return conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


def attention(
    q: jt.Var, k: jt.Var, v: jt.Var, heads: int, mask: jt.Var | None = None, queries: int | None = None
) -> jt.Var:
    """Scaled dot-product attention. q is (B, N, C), k and v are (B, M, C); `mask` is added to the (N, M) logits.

    So many `queries` at a time (None: all at once), where no kernel does without holding all logits.
    """
    if serves(q):
        return kernels.Attention()(q, k, v, heads, mask)
    if queries is None or queries >= q.shape[1]:
        return _attention(q, k, v, heads, mask)
    parts = []
    for first in range(0, q.shape[1], queries):
        rows = slice(first, first + queries)
        parts.append(_attention(q[:, rows], k, v, heads, None if mask is None else mask[rows]))
        if jt.flags.no_grad:
            parts[-1].sync()  # Jittor would compute the parts together
    return jt.concat(parts, dim=1)


def attention_with_sums(
    q: jt.Var, k: jt.Var, v: jt.Var, heads: int, queries: int | None = None
) -> tuple[jt.Var, jt.Var]:
    """`attention` without a mask, and the log-sum-exp (B, heads, N) of each query's logits. It has no gradient.

    By these sums the attentions of one query to two lists of keys add up to that to both: see `beside`.
    """
    if serves(q):
        return kernels.attend(q, k, v, heads)
    step = q.shape[1] if queries is None else queries
    parts = []
    for first in range(0, q.shape[1], step):
        logits = _logits(q[:, first : first + step], k, heads)
        top = logits.max(dim=-1, keepdims=True)
        sums = top + jt.log(jt.exp(logits - top).sum(dim=-1, keepdims=True))  # B*H,N,1
        out = _joined(nn.bmm(jt.exp(logits - sums), _split(v, heads)), heads)
        parts.append((out, sums.reshape((q.shape[0], heads, -1))))
        jt.sync(list(parts[-1]))  # Jittor would compute the parts together
    return jt.concat([out for out, _ in parts], dim=1), jt.concat([sums for _, sums in parts], dim=2)


def _attention(q: jt.Var, k: jt.Var, v: jt.Var, heads: int, mask: jt.Var | None) -> jt.Var:
    logits = _logits(q, k, heads)
    if mask is not None:
        logits = logits + mask
    return _joined(nn.bmm(nn.softmax(logits, dim=-1), _split(v, heads)), heads)


def _logits(q: jt.Var, k: jt.Var, heads: int) -> jt.Var:  # B*H,N,M
    return nn.bmm_transpose(_split(q, heads) * (q.shape[2] // heads) ** -0.5, _split(k, heads))


def _split(x: jt.Var, heads: int) -> jt.Var:  # B,N,C -> B*H,N,C/H
    batch, count, _ = x.shape
    return x.reshape((batch, count, heads, -1)).transpose(0, 2, 1, 3).reshape((batch * heads, count, -1))


def _joined(x: jt.Var, heads: int) -> jt.Var:  # B*H,N,C/H -> B,N,C
    _, count, depth = x.shape
    return x.reshape((-1, heads, count, depth)).transpose(0, 2, 1, 3).reshape((-1, count, heads * depth))


class Attention(nn.Module):
    """Self attention, or cross attention when a context is given. (B, N, width) -> (B, N, width)."""

    def __init__(self, width: int, heads: int, context_width: int | None = None, qkv_bias: bool = False):
        source = width if context_width is None else context_width
        self.heads = heads
        self.queries_at_once: int | None = None
        self.to_q = Linear(width, width, bias=qkv_bias)
        self.to_k = Linear(source, width, bias=qkv_bias)
        self.to_v = Linear(source, width, bias=qkv_bias)
        self.to_out = nn.ModuleList([Linear(width, width)])

    def execute(self, x: jt.Var, context: jt.Var | None = None) -> jt.Var:
        source = x if context is None else context
        return self.to_out[0](self.attend(self.to_q(x), self.to_k(source), self.to_v(source)))

    def attend(self, q: jt.Var, k: jt.Var, v: jt.Var) -> jt.Var:
        """What the queries (B, N, C) see in keys and values (B, M, C), before the last projection."""
        return attention(q, k, v, self.heads, queries=self.queries_at_once)


class ResnetBlock2D(nn.Module):
    """Two 3x3 convolutions around an optional time embedding, with a shortcut."""

    def __init__(self, channels: int, out_channels: int, groups: int, eps: float, time_width: int | None = None):
        self.norm1 = GroupNorm(groups, channels, eps)
        self.conv1 = Conv(channels, out_channels, 3, padding=1)
        if time_width is not None:
            self.time_emb_proj = Linear(time_width, out_channels)
        self.norm2 = GroupNorm(groups, out_channels, eps)
        self.conv2 = Conv(out_channels, out_channels, 3, padding=1)
        if channels != out_channels:
            self.conv_shortcut = Conv(channels, out_channels, 1)

    def execute(self, x: jt.Var, time: jt.Var | None = None) -> jt.Var:
        """x is (B, C, H, W); `time` is the (B, time_width) embedding after its activation."""
        h = self.conv1(self.norm1(x, silu=True))
        if time is not None:
            h = h + self.time_emb_proj(time).reshape((x.shape[0], -1, 1, 1))
        h = self.conv2(self.norm2(h, silu=True))
        return h + (self.conv_shortcut(x) if hasattr(self, "conv_shortcut") else x)


class Downsample2D(nn.Module):
    """Halve height and width. Padding 0 means the VAE's way: one row and column of zeros below and to the right."""

    def __init__(self, channels: int, padding: int):
        self.padding = padding
        self.conv = Conv(channels, channels, 3, stride=2, padding=padding)

    def execute(self, x: jt.Var) -> jt.Var:
        return self.conv(x if self.padding > 0 else nn.pad(x, (0, 1, 0, 1)))


class Upsample2D(nn.Module):
    """Nearest-neighbour enlargement to twice the size, or to `size` (H, W), then a 3x3 convolution."""

    def __init__(self, channels: int):
        self.conv = Conv(channels, channels, 3, padding=1)

    def execute(self, x: jt.Var, size: tuple[int, int] | None = None) -> jt.Var:
        batch, channels, height, width = x.shape
        if size is None or size == (2 * height, 2 * width):
            if serves(x):
                return self.conv(kernels.Enlarge()(x))
            x = x.reshape((batch, channels, height, 1, width, 1)).broadcast((batch, channels, height, 2, width, 2))
            return self.conv(x.reshape((batch, channels, 2 * height, 2 * width)))
        return self.conv(nn.interpolate(x, size=size, mode="nearest"))
