"""The autoencoder of Stable Diffusion. Parameter names equal diffusers' AutoencoderKL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import jittor as jt
from jittor import nn

from jdart.models.config import read_config, require_divisor
from jdart.models.networks.layers import Attention, Conv, Downsample2D, GroupNorm, ResnetBlock2D, Upsample2D, turned
from jdart.models.tiling import tiled

EPS = 1e-6  # of every norm in the autoencoder


@dataclass(frozen=True)
class VAEConfig:
    """Shape of the network, under the names of diffusers' `vae/config.json`."""

    in_channels: int = 3
    out_channels: int = 3
    block_out_channels: tuple[int, ...] = (128, 256, 512, 512)
    layers_per_block: int = 2
    latent_channels: int = 4
    norm_num_groups: int = 32
    scaling_factor: float = 0.18215

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> VAEConfig:
        """Read diffusers' configuration. Raises UserError for a variant of the network that is not built here."""
        config = read_config(
            cls,
            raw,
            "VAE",
            fixed={
                "act_fn": "silu",
                "shift_factor": None,
                "latents_mean": None,
                "latents_std": None,
                "use_quant_conv": True,
                "use_post_quant_conv": True,
                "mid_block_add_attention": True,
            },
        )
        require_divisor(config.norm_num_groups, config.block_out_channels, "VAE: norm_num_groups")
        return config

    @property
    def factor(self) -> int:
        """Pixels per latent cell, along one side."""
        return 2 ** (len(self.block_out_channels) - 1)


class SpatialAttention(Attention):
    """Single-head self attention over the pixels of a (B, C, H, W) feature map, with a shortcut."""

    def __init__(self, channels: int, groups: int):
        super().__init__(channels, heads=1, qkv_bias=True)
        self.group_norm = GroupNorm(groups, channels, EPS)

    def execute(self, x: jt.Var, context: None = None) -> jt.Var:
        batch, channels, height, width = x.shape
        h = turned(self.group_norm(x).reshape((batch, channels, -1)))  # B,HW,C
        h = super().execute(h)
        return x + turned(h).reshape((batch, channels, height, width))


class MidBlock(nn.Module):
    """Residual block, attention, residual block."""

    def __init__(self, channels: int, groups: int):
        self.attentions = nn.ModuleList([SpatialAttention(channels, groups)])
        self.resnets = nn.ModuleList([ResnetBlock2D(channels, channels, groups, EPS) for _ in range(2)])

    def execute(self, x: jt.Var) -> jt.Var:
        return self.resnets[1](self.attentions[0](self.resnets[0](x)))


class Block(nn.Module):
    """Residual blocks, then a halving (`downsamplers`) or a doubling (`upsamplers`) of the picture, or neither."""

    def __init__(self, channels: int, width: int, layers: int, groups: int, resample: str | None):
        self.resnets = nn.ModuleList(
            [ResnetBlock2D(channels if i == 0 else width, width, groups, EPS) for i in range(layers)]
        )
        if resample == "down":
            self.downsamplers = nn.ModuleList([Downsample2D(width, padding=0)])
        if resample == "up":
            self.upsamplers = nn.ModuleList([Upsample2D(width)])

    def execute(self, x: jt.Var) -> jt.Var:
        for resnet in self.resnets:
            x = resnet(x)
        for name in ("downsamplers", "upsamplers"):
            if hasattr(self, name):
                x = getattr(self, name)[0](x)
        return x


class Encoder(nn.Module):
    """(B, 3, H, W) -> (B, 2 * latent_channels, H/factor, W/factor)."""

    def __init__(self, config: VAEConfig):
        widths, groups = config.block_out_channels, config.norm_num_groups
        before = (widths[0], *widths)
        self.conv_in = Conv(config.in_channels, widths[0], 3, padding=1)
        self.down_blocks = nn.ModuleList(
            [
                Block(before[i], width, config.layers_per_block, groups, "down" if i + 1 < len(widths) else None)
                for i, width in enumerate(widths)
            ]
        )
        self.mid_block = MidBlock(widths[-1], groups)
        self.conv_norm_out = GroupNorm(groups, widths[-1], EPS)
        self.conv_out = Conv(widths[-1], 2 * config.latent_channels, 3, padding=1)

    def execute(self, x: jt.Var) -> jt.Var:
        x = self.conv_in(x)
        for block in self.down_blocks:
            x = block(x)
        return self.conv_out(self.conv_norm_out(self.mid_block(x), silu=True))


class Decoder(nn.Module):
    """(B, latent_channels, h, w) -> (B, 3, h * factor, w * factor)."""

    def __init__(self, config: VAEConfig):
        widths, groups = config.block_out_channels[::-1], config.norm_num_groups
        before = (widths[0], *widths)
        self.conv_in = Conv(config.latent_channels, widths[0], 3, padding=1)
        self.mid_block = MidBlock(widths[0], groups)
        self.up_blocks = nn.ModuleList(
            [
                Block(
                    before[i],
                    width,
                    config.layers_per_block + 1,
                    groups,
                    "up" if i + 1 < len(widths) else None,
                )
                for i, width in enumerate(widths)
            ]
        )
        self.conv_norm_out = GroupNorm(groups, widths[-1], EPS)
        self.conv_out = Conv(widths[-1], config.out_channels, 3, padding=1)

    def execute(self, x: jt.Var) -> jt.Var:
        x = self.mid_block(self.conv_in(x))
        for block in self.up_blocks:
            x = block(x)
        return self.conv_out(self.conv_norm_out(x, silu=True))


class VAE(nn.Module):
    """Pictures to latents and back. Latents leave and enter multiplied by the configuration's scaling factor.

    Pictures larger than `tile` pixels go through in tiles, without a gradient; None: whole.
    """

    def __init__(self, config: VAEConfig, tile: int | None = None):
        self.config, self.tile = config, tile
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.quant_conv = Conv(2 * config.latent_channels, 2 * config.latent_channels, 1)
        self.post_quant_conv = Conv(config.latent_channels, config.latent_channels, 1)

    def encode(self, x: jt.Var) -> tuple[jt.Var, jt.Var]:
        """(B, 3, H, W) in -1..1 -> mean and standard deviation of the latents, each (B, latent, h, w), scaled."""

        def moments(x: jt.Var) -> jt.Var:
            return self.quant_conv(self.encoder(x))

        tile, factor = self.tile, self.config.factor
        both = moments(x) if tile is None else tiled(moments, x, tile, Fraction(1, factor))
        mean, logvar = both.chunk(2, dim=1)
        scale = self.config.scaling_factor
        return mean * scale, jt.exp(0.5 * jt.clamp(logvar, -30.0, 20.0)) * scale

    def decode(self, z: jt.Var) -> jt.Var:
        """Scaled latents (B, latent, h, w) -> (B, 3, H, W), about -1..1."""

        def picture(z: jt.Var) -> jt.Var:
            return self.decoder(self.post_quant_conv(z))

        z, tile, factor = z / self.config.scaling_factor, self.tile, self.config.factor
        return picture(z) if tile is None else tiled(picture, z, tile // factor, Fraction(factor))
