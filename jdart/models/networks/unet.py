"""The conditional UNet of Stable Diffusion 1.5 and 2.1. Parameter names equal diffusers' UNet2DConditionModel.

Source: Rombach et al., High-Resolution Image Synthesis with Latent Diffusion Models, 2112.10752; shapes from the
checkpoint's `config.json`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import jittor as jt
import numpy as np
from jittor import nn

from jdart.models.networks.layers import Conv, GroupNorm, Linear
from jdart.models.networks.unet_blocks import DownBlock, MidBlock, UpBlock
from jdart.models.networks.unet_config import UNetConfig


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
