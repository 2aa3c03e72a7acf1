"""The blocks of the conditional UNet: residual blocks and transformers on the way down, in the middle and up.

Parameter names equal diffusers'; source: Rombach et al., 2112.10752.
"""

from __future__ import annotations

import jittor as jt
from jittor import nn

from jdart.models.kernels import functions as kernels
from jdart.models.kernels.native import serves
from jdart.models.networks.layers import (
    Attention,
    Conv,
    Downsample2D,
    GroupNorm,
    LayerNorm,
    Linear,
    ResnetBlock2D,
    Upsample2D,
    turned,
)
from jdart.models.networks.unet_config import DOWN, UP, UNetConfig


class GEGLU(nn.Module):
    """Gated linear unit with an exact GELU."""

    def __init__(self, width: int, inner: int):
        self.proj = Linear(width, 2 * inner)

    def execute(self, x: jt.Var) -> jt.Var:
        both = self.proj(x)
        if serves(both):
            return kernels.GEGLU()(both)
        value, gate = both.chunk(2, dim=-1)
        return value * nn.gelu(gate)


class FeedForward(nn.Module):
    """GEGLU and a projection; `net.1` is diffusers' dropout, which holds no numbers."""

    def __init__(self, width: int):
        self.net = nn.ModuleList([GEGLU(width, 4 * width), nn.Identity(), Linear(4 * width, width)])

    def execute(self, x: jt.Var) -> jt.Var:
        return self.net[2](self.net[0](x))


class BasicTransformerBlock(nn.Module):
    """Self attention, cross attention to the text and a feed-forward network, each behind a layer norm."""

    def __init__(self, width: int, heads: int, context_width: int):
        self.norm1 = LayerNorm(width)
        self.attn1 = Attention(width, heads)
        self.norm2 = LayerNorm(width)
        self.attn2 = Attention(width, heads, context_width)
        self.norm3 = LayerNorm(width)
        self.ff = FeedForward(width)

    def execute(self, x: jt.Var, context: jt.Var) -> jt.Var:
        x = x + self.attn1(self.norm1(x))
        x = x + self.attn2(self.norm2(x), context)
        return x + self.ff(self.norm3(x))


class Transformer2D(nn.Module):
    """A transformer over the pixels of a feature map. (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, channels: int, heads: int, config: UNetConfig):
        self.linear = config.use_linear_projection
        self.norm = GroupNorm(config.norm_num_groups, channels, 1e-6)
        self.proj_in = Linear(channels, channels) if self.linear else Conv(channels, channels, 1)
        self.transformer_blocks = nn.ModuleList([BasicTransformerBlock(channels, heads, config.cross_attention_dim)])
        self.proj_out = Linear(channels, channels) if self.linear else Conv(channels, channels, 1)

    def execute(self, x: jt.Var, context: jt.Var) -> jt.Var:
        batch, channels, height, width = x.shape
        h = self.norm(x)
        if not self.linear:
            h = self.proj_in(h)
        h = turned(h.reshape((batch, channels, -1)))  # B,HW,C
        if self.linear:
            h = self.proj_in(h)
        for block in self.transformer_blocks:
            h = block(h, context)
        if self.linear:
            h = self.proj_out(h)
        h = turned(h).reshape((batch, channels, height, width))
        return x + (h if self.linear else self.proj_out(h))


class DownBlock(nn.Module):
    """Residual blocks, each followed by a transformer where the type asks for one, then a halving."""

    def __init__(self, config: UNetConfig, level: int, time_width: int):
        channels = config.block_out_channels
        width = channels[level]
        before = channels[max(level - 1, 0)]
        self.resnets = nn.ModuleList(
            [
                ResnetBlock2D(before if i == 0 else width, width, config.norm_num_groups, config.norm_eps, time_width)
                for i in range(config.layers_per_block)
            ]
        )
        if DOWN[config.down_block_types[level]]:
            self.attentions = nn.ModuleList(
                [Transformer2D(width, config.heads[level], config) for _ in range(config.layers_per_block)]
            )
        if level + 1 < len(channels):
            self.downsamplers = nn.ModuleList([Downsample2D(width, config.downsample_padding)])

    def execute(self, x: jt.Var, time: jt.Var, context: jt.Var) -> tuple[jt.Var, list[jt.Var]]:
        """Returns the output and what the way up will need: every intermediate feature map."""
        kept = []
        for i, resnet in enumerate(self.resnets):
            x = resnet(x, time)
            if hasattr(self, "attentions"):
                x = self.attentions[i](x, context)
            kept.append(x)
        if hasattr(self, "downsamplers"):
            x = self.downsamplers[0](x)
            kept.append(x)
        return x, kept


class MidBlock(nn.Module):
    """Residual block, transformer, residual block at the lowest level."""

    def __init__(self, config: UNetConfig, time_width: int):
        width = config.block_out_channels[-1]
        self.attentions = nn.ModuleList([Transformer2D(width, config.heads[-1], config)])
        self.resnets = nn.ModuleList(
            [ResnetBlock2D(width, width, config.norm_num_groups, config.norm_eps, time_width) for _ in range(2)]
        )

    def execute(self, x: jt.Var, time: jt.Var, context: jt.Var) -> jt.Var:
        x = self.attentions[0](self.resnets[0](x, time), context)
        return self.resnets[1](x, time)


class UpBlock(nn.Module):
    """Residual blocks that take the feature maps of the way down, transformers as on the way down, then a doubling."""

    def __init__(self, config: UNetConfig, index: int, time_width: int):
        channels = config.block_out_channels
        level = len(channels) - 1 - index
        width = channels[level]
        below = channels[min(level + 1, len(channels) - 1)]
        skips = [width] * config.layers_per_block + [channels[max(level - 1, 0)]]
        inputs = [below] + [width] * config.layers_per_block
        self.resnets = nn.ModuleList(
            [
                ResnetBlock2D(size + skip, width, config.norm_num_groups, config.norm_eps, time_width)
                for size, skip in zip(inputs, skips)
            ]
        )
        if UP[config.up_block_types[index]]:
            self.attentions = nn.ModuleList([Transformer2D(width, config.heads[level], config) for _ in inputs])
        if level > 0:
            self.upsamplers = nn.ModuleList([Upsample2D(width)])

    def execute(self, x: jt.Var, kept: list[jt.Var], time: jt.Var, context: jt.Var) -> jt.Var:
        """`kept` is shared by all blocks; each takes its maps from the end; the next tells the size to grow to."""
        for layer in range(len(self.resnets)):
            x = self.through(layer, x, kept.pop(), time, context)
        if hasattr(self, "upsamplers"):
            x = self.upsamplers[0](x, tuple(kept[-1].shape[2:]))
        return x

    def through(self, layer: int, x: jt.Var, beside: jt.Var, time: jt.Var, context: jt.Var) -> jt.Var:
        """One residual block, on `x` and the map of the way down `beside` it, and its transformer."""
        x = self.resnets[layer](jt.concat([x, beside], dim=1), time)
        return self.attentions[layer](x, context) if hasattr(self, "attentions") else x
