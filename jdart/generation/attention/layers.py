"""The self-attentions of a UNet by their numbers, from its configuration alone."""

from __future__ import annotations

from collections.abc import Sequence

from contest.errors import UserError
from jdart.models.networks.unet_config import DOWN, UP, UNetConfig


def self_attentions(config: UNetConfig) -> tuple[str, ...]:
    """Names of all self-attentions as a picture passes them, down, mid, up: 16 in Stable Diffusion, numbered from 0.

    There 0 to 5 lie on the way down, 6 in the middle, 7 to 15 on the way up; a smaller UNet has fewer.
    """
    down = [f"down_blocks.{i}" for i, kind in enumerate(config.down_block_types) if DOWN[kind]]
    up = [f"up_blocks.{i}" for i, kind in enumerate(config.up_block_types) if UP[kind]]
    each = config.layers_per_block
    counts = [*((block, each) for block in down), ("mid_block", 1), *((block, each + 1) for block in up)]
    return tuple(f"{block}.attentions.{i}.transformer_blocks.0.attn1" for block, count in counts for i in range(count))


def of_the_decoder(config: UNetConfig, count: int) -> tuple[str, ...]:
    """Names of the last `count` self-attentions on the way up, or of all there where they are fewer."""
    return tuple(name for name in self_attentions(config) if name.startswith("up_blocks"))[-count:]


def numbered(config: UNetConfig, numbers: Sequence[int] | None, key: str) -> tuple[str, ...]:
    """Names of the self-attentions with these numbers, -1 being the last; of all for None.

    UserError, which names the setting `key`, for one that this base has not.
    """
    every = self_attentions(config)
    if numbers is None:
        return every
    for number in numbers:
        if not -len(every) <= number < len(every):
            raise UserError(
                f"{key}: {number}; this base has the self-attentions 0 to {len(every) - 1}, from the last -1 "
                f"to {-len(every)}"
            )
    return tuple(dict.fromkeys(every[number] for number in numbers))
