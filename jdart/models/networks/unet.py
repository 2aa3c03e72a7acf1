"""The conditional UNet of Stable Diffusion 1.5 and 2.1. Parameter names equal diffusers' UNet2DConditionModel.

Source: Rombach et al., High-Resolution Image Synthesis with Latent Diffusion Models, 2112.10752; shapes from the
checkpoint's `config.json`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import jittor as jt
import numpy as np
from jittor import nn

from contest.errors import UserError
from jdart.models.config import per_block, read_config, require_divisor
from jdart.models.networks.layers import Conv, GroupNorm, Linear
from jdart.models.networks.unet_blocks import DOWN, UP, DownBlock, MidBlock, UpBlock


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


class DeepFeatures:
    """What all but the outermost layer of the UNet made, used again in the calls of one run that follow.

    Source: DeepCache (Ma et al., 2312.00858) with its branch 0: in between, only the first convolution and the last
    layer of the way up are calculated. It saves most of the network's work, and changes the picture.
    """

    def __init__(self, interval: int):
        """Made anew in every `interval`-th call, and when a batch has another number of rows than before."""
        self.interval, self.age = interval, 0
        self.kept: jt.Var | None = None

    def through(self, rows: int, make: Callable[[], jt.Var]) -> jt.Var:
        """The features (rows, C, H, W) for the next call."""
        if self.kept is None or self.age == self.interval or self.kept.shape[0] != rows:
            self.kept, self.age = make(), 0
        self.age += 1
        return self.kept


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

    def execute(self, x: jt.Var, timesteps: np.ndarray, context: jt.Var, deep: DeepFeatures | None = None) -> jt.Var:
        """`deep` belongs to one run of a sampler; without it all layers are calculated."""
        config = self.config
        for listener in self.listeners:
            listener.heed(timesteps)
        waves = sinusoids(timesteps, config.block_out_channels[0], config.flip_sin_to_cos, config.freq_shift)
        time = nn.silu(self.time_embedding(jt.array(waves)))  # every residual block activates it first: once is enough
        outer = self.conv_in(x)

        def make() -> jt.Var:
            return self._below(outer, time, context)

        below = make() if deep is None else deep.through(x.shape[0], make)
        last = self.up_blocks[-1]
        x = last.through(len(last.resnets) - 1, below, outer, time, context)
        return self.conv_out(self.conv_norm_out(x, silu=True))

    def _below(self, outer: jt.Var, time: jt.Var, context: jt.Var) -> jt.Var:
        """All between the first convolution and the last layer of the way up."""
        x, kept = outer, [outer]
        for block in self.down_blocks:
            x, maps = block(x, time, context)
            kept += maps
        x = self.mid_block(x, time, context)
        *inner, last = self.up_blocks
        for block in inner:
            x = block(x, kept, time, context)
        for layer in range(len(last.resnets) - 1):
            x = last.through(layer, x, kept.pop(), time, context)
        return x
