"""The conditional UNet of Stable Diffusion 1.5 and 2.1. Parameter names equal diffusers' UNet2DConditionModel.

Source: Rombach et al., High-Resolution Image Synthesis with Latent Diffusion Models, 2112.10752; shapes from the
checkpoint's `config.json`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import jittor as jt
import numpy as np
from jittor import nn

from contest.errors import UserError
from jdart.models.config import per_block, read_config, require_divisor
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
)

DOWN = {"DownBlock2D": False, "CrossAttnDownBlock2D": True}  # block type -> has attention
UP = {"UpBlock2D": False, "CrossAttnUpBlock2D": True}


@dataclass(frozen=True)
class UNetConfig:
    """Shape of the network, under the names of diffusers' `unet/config.json`."""

    in_channels: int = 4
    out_channels: int = 4
    block_out_channels: tuple[int, ...] = (320, 640, 1280, 1280)
    layers_per_block: int = 2
    down_block_types: tuple[str, ...] = ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",)
    up_block_types: tuple[str, ...] = ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3
    attention_head_dim: int | tuple[int, ...] = 8  # the number of heads, whatever its name says
    cross_attention_dim: int = 1280
    use_linear_projection: bool = False
    norm_num_groups: int = 32
    norm_eps: float = 1e-5
    flip_sin_to_cos: bool = True
    freq_shift: int = 0
    downsample_padding: int = 1
    sample_size: int = 64

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> UNetConfig:
        """Read diffusers' configuration. Raises UserError for a variant of the network that is not built here."""
        config = read_config(
            cls,
            raw,
            "UNet",
            fixed={
                "act_fn": "silu",
                "mid_block_type": "UNetMidBlock2DCrossAttn",
                "resnet_time_scale_shift": "default",
                "time_embedding_type": "positional",
                "center_input_sample": False,
                "dual_cross_attention": False,
                "only_cross_attention": False,
                "class_embed_type": None,
                "addition_embed_type": None,
                "encoder_hid_dim": None,
                "num_attention_heads": None,
                "transformer_layers_per_block": 1,
                "mid_block_scale_factor": 1,
                "conv_in_kernel": 3,
                "conv_out_kernel": 3,
            },
        )
        for kind, known in ((config.down_block_types, DOWN), (config.up_block_types, UP)):
            if not set(kind) <= set(known) or len(kind) != len(config.block_out_channels):
                raise UserError(f"UNet: blocks {', '.join(kind)}; needed is one of {', '.join(known)} for each level")
        require_divisor(config.norm_num_groups, config.block_out_channels, "UNet: norm_num_groups")
        for heads, width in zip(config.heads, config.block_out_channels):
            require_divisor(heads, [width], "UNet: attention_head_dim")
        return config

    @property
    def heads(self) -> tuple[int, ...]:
        """Number of attention heads at each level."""
        return per_block(self.attention_head_dim, len(self.block_out_channels), "UNet attention_head_dim")


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
        h = h.reshape((batch, channels, -1)).transpose(0, 2, 1)  # B,HW,C
        if self.linear:
            h = self.proj_in(h)
        for block in self.transformer_blocks:
            h = block(h, context)
        if self.linear:
            h = self.proj_out(h)
        h = h.transpose(0, 2, 1).reshape((batch, channels, height, width))
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
        for i, resnet in enumerate(self.resnets):
            x = resnet(jt.concat([x, kept.pop()], dim=1), time)
            if hasattr(self, "attentions"):
                x = self.attentions[i](x, context)
        if hasattr(self, "upsamplers"):
            x = self.upsamplers[0](x, tuple(kept[-1].shape[2:]))
        return x


class TimestepEmbedding(nn.Module):
    """Two linear layers on the sinusoids of a timestep."""

    def __init__(self, channels: int, width: int):
        self.linear_1 = Linear(channels, width)
        self.linear_2 = Linear(width, width)

    def execute(self, x: jt.Var) -> jt.Var:
        return self.linear_2(nn.silu(self.linear_1(x)))


def sinusoids(timesteps: np.ndarray, channels: int, flip_sin_to_cos: bool, freq_shift: int) -> np.ndarray:
    """Sinusoidal embedding of (B,) timesteps -> float32 (B, channels)."""
    half = channels // 2
    exponent = -math.log(10000) * np.arange(half, dtype=np.float32) / (half - freq_shift)
    angles = np.asarray(timesteps, np.float32)[:, None] * np.exp(exponent, dtype=np.float32)[None]
    parts = (np.cos(angles), np.sin(angles)) if flip_sin_to_cos else (np.sin(angles), np.cos(angles))
    return np.concatenate(parts, axis=1).astype(np.float32)


class Listener(Protocol):
    """What depends on the noise level beside the network itself."""

    def heed(self, timesteps: np.ndarray) -> None:
        """Be told the timesteps (B,) of a call before it is made."""


class UNet(nn.Module):
    """Predicts noise or velocity: (B, in_channels, H, W), timesteps (B,), text (B, T, D) -> (B, out_channels, H, W)."""

    def __init__(self, config: UNetConfig):
        self.config = config
        channels = config.block_out_channels
        levels = range(len(channels))
        time_width = 4 * channels[0]
        self.conv_in = Conv(config.in_channels, channels[0], 3, padding=1)
        self.time_embedding = TimestepEmbedding(channels[0], time_width)
        self.down_blocks = nn.ModuleList([DownBlock(config, level, time_width) for level in levels])
        self.mid_block = MidBlock(config, time_width)
        self.up_blocks = nn.ModuleList([UpBlock(config, index, time_width) for index in levels])
        self.conv_norm_out = GroupNorm(config.norm_num_groups, channels[0], config.norm_eps)
        self.conv_out = Conv(channels[0], config.out_channels, 3, padding=1)
        self.listeners: list[Listener] = []

    def execute(self, x: jt.Var, timesteps: np.ndarray, context: jt.Var) -> jt.Var:
        config = self.config
        for listener in self.listeners:
            listener.heed(timesteps)
        waves = sinusoids(timesteps, config.block_out_channels[0], config.flip_sin_to_cos, config.freq_shift)
        time = nn.silu(self.time_embedding(jt.array(waves)))  # every residual block activates it first: once is enough
        x = self.conv_in(x)
        kept = [x]
        for block in self.down_blocks:
            x, maps = block(x, time, context)
            kept += maps
        x = self.mid_block(x, time, context)
        for block in self.up_blocks:
            x = block(x, kept, time, context)
        return self.conv_out(self.conv_norm_out(x, silu=True))
