"""The layers that the UNet, the VAE and the text encoder share. Attribute names are those of the checkpoints."""

from __future__ import annotations

from collections.abc import Sequence

import jittor as jt
from jittor import nn


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

    def execute(self, x: jt.Var) -> jt.Var:
        shape = x.shape
        y = normalise(x.reshape((shape[0], self.groups, -1)), [2], self.eps).reshape(shape)
        per_channel = (1, shape[1]) + (1,) * (len(shape) - 2)
        return y * self.weight.reshape(per_channel) + self.bias.reshape(per_channel)


class LayerNorm(nn.Module):
    """Layer normalisation over the last dimension."""

    def __init__(self, width: int, eps: float = 1e-5):
        self.eps = eps
        self.weight = jt.ones((width,))
        self.bias = jt.zeros((width,))

    def execute(self, x: jt.Var) -> jt.Var:
        return normalise(x, [-1], self.eps) * self.weight + self.bias


def attention(q: jt.Var, k: jt.Var, v: jt.Var, heads: int, mask: jt.Var | None = None) -> jt.Var:
    """Scaled dot-product attention. q is (B, N, C), k and v are (B, M, C); `mask` is added to the (N, M) logits."""
    batch, queries, width = q.shape

    def split(x: jt.Var) -> jt.Var:  # B,N,C -> B*H,N,C/H
        return x.reshape((batch, x.shape[1], heads, -1)).transpose(0, 2, 1, 3).reshape((batch * heads, x.shape[1], -1))

    logits = nn.bmm_transpose(split(q) * (width // heads) ** -0.5, split(k))  # B*H,N,M
    if mask is not None:
        logits = logits + mask
    out = nn.bmm(nn.softmax(logits, dim=-1), split(v))  # B*H,N,C/H
    return out.reshape((batch, heads, queries, -1)).transpose(0, 2, 1, 3).reshape((batch, queries, width))


class Attention(nn.Module):
    """Self attention, or cross attention when a context is given. (B, N, width) -> (B, N, width)."""

    def __init__(self, width: int, heads: int, context_width: int | None = None, qkv_bias: bool = False):
        source = width if context_width is None else context_width
        self.heads = heads
        self.to_q = nn.Linear(width, width, bias=qkv_bias)
        self.to_k = nn.Linear(source, width, bias=qkv_bias)
        self.to_v = nn.Linear(source, width, bias=qkv_bias)
        self.to_out = nn.ModuleList([nn.Linear(width, width)])

    def execute(self, x: jt.Var, context: jt.Var | None = None) -> jt.Var:
        source = x if context is None else context
        return self.to_out[0](attention(self.to_q(x), self.to_k(source), self.to_v(source), self.heads))


class ResnetBlock2D(nn.Module):
    """Two 3x3 convolutions around an optional time embedding, with a shortcut."""

    def __init__(self, channels: int, out_channels: int, groups: int, eps: float, time_width: int | None = None):
        self.norm1 = GroupNorm(groups, channels, eps)
        self.conv1 = nn.Conv(channels, out_channels, 3, padding=1)
        if time_width is not None:
            self.time_emb_proj = nn.Linear(time_width, out_channels)
        self.norm2 = GroupNorm(groups, out_channels, eps)
        self.conv2 = nn.Conv(out_channels, out_channels, 3, padding=1)
        if channels != out_channels:
            self.conv_shortcut = nn.Conv(channels, out_channels, 1)

    def execute(self, x: jt.Var, time: jt.Var | None = None) -> jt.Var:
        """x is (B, C, H, W); `time` is the (B, time_width) embedding after its activation."""
        h = self.conv1(nn.silu(self.norm1(x)))
        if time is not None:
            h = h + self.time_emb_proj(time).reshape((x.shape[0], -1, 1, 1))
        h = self.conv2(nn.silu(self.norm2(h)))
        return h + (self.conv_shortcut(x) if hasattr(self, "conv_shortcut") else x)


class Downsample2D(nn.Module):
    """Halve height and width. Padding 0 means the VAE's way: one row and column of zeros below and to the right."""

    def __init__(self, channels: int, padding: int):
        self.padding = padding
        self.conv = nn.Conv(channels, channels, 3, stride=2, padding=padding)

    def execute(self, x: jt.Var) -> jt.Var:
        return self.conv(x if self.padding > 0 else nn.pad(x, (0, 1, 0, 1)))


class Upsample2D(nn.Module):
    """Nearest-neighbour enlargement to twice the size, or to `size` (H, W), then a 3x3 convolution."""

    def __init__(self, channels: int):
        self.conv = nn.Conv(channels, channels, 3, padding=1)

    def execute(self, x: jt.Var, size: tuple[int, int] | None = None) -> jt.Var:
        batch, channels, height, width = x.shape
        if size is None or size == (2 * height, 2 * width):
            x = x.reshape((batch, channels, height, 1, width, 1)).broadcast((batch, channels, height, 2, width, 2))
            return self.conv(x.reshape((batch, channels, 2 * height, 2 * width)))
        return self.conv(nn.interpolate(x, size=size, mode="nearest"))
