"""The configuration of each network, by the shapes of a checkpoint's tensors.

What no shape tells (groups of the norms, heads, activations, the latents' scale) is that of the published models.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from contest.errors import UserError
from jdart.models.presets import CROSS, SD21_TEXT, SD_TEXT, SD_UNET, SD_VAE

Shapes = Mapping[str, tuple[int, ...]]
HEAD = 64  # channels of an attention head, in the text encoders and in the UNet of Stable Diffusion 2


def unet_config(shapes: Shapes) -> dict[str, Any]:
    """Of a UNet under its original names, without their prefix."""
    places = range(1, _count(r"input_blocks\.(\d+)\.", shapes))
    ends = [place for place in places if f"input_blocks.{place}.0.op.weight" in shapes]
    firsts = [1, *(end + 1 for end in ends)]  # the first layer of each level
    attentive = [f"input_blocks.{first}.1.norm.weight" in shapes for first in firsts]
    cross = [shape[-1] for name, shape in shapes.items() if name.endswith("attn2.to_k.weight") and shape]
    linear = any(name.endswith(".1.proj_in.weight") and len(shape) == 2 for name, shape in shapes.items())
    widths = [_size(shapes, f"input_blocks.{first}.0.out_layers.3.weight") for first in firsts]
    return {
        **SD_UNET,
        "attention_head_dim": [max(1, width // HEAD) for width in widths] if linear else 8,
        "block_out_channels": widths,
        "cross_attention_dim": cross[0] if cross else 0,
        "down_block_types": [CROSS if own else "DownBlock2D" for own in attentive],
        "in_channels": _size(shapes, "input_blocks.0.0.weight", 1),
        "layers_per_block": ends[0] - 1 if ends else len(places),
        "out_channels": _size(shapes, "out.2.weight"),
        "up_block_types": ["CrossAttnUpBlock2D" if own else "UpBlock2D" for own in reversed(attentive)],
        "use_linear_projection": linear,
    }


def vae_config(shapes: Shapes) -> dict[str, Any]:
    """Of an autoencoder under its original names, without their prefix."""
    levels = _count(r"encoder\.down\.(\d+)\.", shapes)
    return {
        **SD_VAE,
        "block_out_channels": [_size(shapes, f"encoder.down.{level}.block.0.conv2.weight") for level in range(levels)],
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "latent_channels": _size(shapes, "decoder.conv_in.weight", 1),
        "layers_per_block": _count(r"encoder\.down\.0\.block\.(\d+)\.", shapes),
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "use_quant_conv": "quant_conv.weight" in shapes,
        "use_post_quant_conv": "post_quant_conv.weight" in shapes,
    }


def clip_config(shapes: Shapes) -> dict[str, Any]:
    """Of OpenAI's text encoder, under transformers' names."""
    words = "text_model.embeddings.token_embedding.weight"
    width = _size(shapes, words, 1)
    return {
        **SD_TEXT,
        "hidden_size": width,
        "intermediate_size": _size(shapes, "text_model.encoder.layers.0.mlp.fc1.weight"),
        "max_position_embeddings": _size(shapes, "text_model.embeddings.position_embedding.weight"),
        "num_attention_heads": max(1, width // HEAD),
        "num_hidden_layers": _count(r"text_model\.encoder\.layers\.(\d+)\.", shapes),
        "projection_dim": width,
        "vocab_size": _size(shapes, words),
    }


def open_clip_config(shapes: Shapes) -> dict[str, Any]:
    """Of OpenCLIP's text tower, under its own names.

    A whole tower, with its projection or 24 layers high, has one layer more than Stable Diffusion 2 reads.
    """
    width = _size(shapes, "token_embedding.weight", 1)
    layers = _count(r"transformer\.resblocks\.(\d+)\.", shapes)
    whole = "text_projection" in shapes or layers > SD21_TEXT["num_hidden_layers"]
    return {
        **SD21_TEXT,
        "hidden_size": width,
        "intermediate_size": _size(shapes, "transformer.resblocks.0.mlp.c_fc.weight"),
        "max_position_embeddings": _size(shapes, "positional_embedding"),
        "num_attention_heads": max(1, width // HEAD),
        "num_hidden_layers": layers - 1 if whole else layers,
        "vocab_size": _size(shapes, "token_embedding.weight"),
    }


def _count(pattern: str, names: Iterable[str]) -> int:
    """How many numbers a pattern finds at the start of names."""
    return len({match[1] for match in (re.match(pattern, name) for name in names) if match})


def _size(shapes: Shapes, name: str, axis: int = 0) -> int:
    if len(shapes.get(name, ())) <= axis:
        raise UserError(f"{name} is missing or has no such shape as in Stable Diffusion; fetch the file again")
    return shapes[name][axis]
