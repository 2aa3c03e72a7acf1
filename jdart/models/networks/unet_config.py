"""The shape of the conditional UNet, from the checkpoint's `config.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contest.errors import UserError
from jdart.models.config import per_block, read_config, require_divisor

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
