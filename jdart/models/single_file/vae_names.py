"""Tensors of the autoencoder under the names of the original latent-diffusion code -> diffusers' names.

Source: the attributes of that code's Encoder and Decoder (CompVis/latent-diffusion, diffusionmodules/model.py).
"""

from __future__ import annotations

import re

LEAVES = {"norm_out": "conv_norm_out", "nin_shortcut": "conv_shortcut", "norm": "group_norm"}
ATTENTION = {**LEAVES, "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}
SAMPLERS = {"downsample": "downsamplers.0", "upsample": "upsamplers.0"}


def tensor_from_ldm(name: str, levels: int) -> str:
    """A tensor's name -> diffusers'. The original counts the decoder's `levels` from the picture, diffusers from the
    latent. Names of no block stay as they are."""
    words = name.split(".")
    if len(words) < 3 or words[0] not in ("encoder", "decoder"):
        return name
    side, part, rest, leaf = words[0], words[1], words[2:-1], words[-1]
    if part == "mid" and rest:
        number = re.fullmatch(r"(block|attn)_(\d+)", rest[0])
        if number is None:
            return name
        kind, table = ("resnets", LEAVES) if number[1] == "block" else ("attentions", ATTENTION)
        return ".".join((side, "mid_block", kind, str(int(number[2]) - 1), *_layer(rest[1:], table), leaf))
    if part in ("down", "up") and len(rest) >= 2 and rest[0].isdigit():
        level = int(rest[0]) if part == "down" else levels - 1 - int(rest[0])
        kind = "resnets" if rest[1] == "block" else SAMPLERS.get(rest[1], rest[1])
        return ".".join((side, f"{part}_blocks", str(level), kind, *_layer(rest[2:], LEAVES), leaf))
    return ".".join((side, LEAVES.get(part, part), *rest, leaf))


def _layer(words: list[str], table: dict[str, str]) -> list[str]:
    return [table.get(word, word) for word in words]
