"""Layers of the UNet under the names of the original latent-diffusion code -> diffusers' names.

Source: the order in which that code builds its lists (CompVis/latent-diffusion, openaimodel.py).
"""

from __future__ import annotations

import re

BLOCK = re.compile(r"(?P<part>input_blocks|middle_block|output_blocks)[_.](?P<index>\d+)[_.](?P<rest>.+)")
LEAVES = {
    "in_layers_0": "norm1",
    "in_layers_2": "conv1",
    "out_layers_0": "norm2",
    "out_layers_3": "conv2",
    "emb_layers_1": "time_emb_proj",
    "skip_connection": "conv_shortcut",
}
ENDS = {
    "input_blocks_0_0": "conv_in",
    "out_0": "conv_norm_out",
    "out_2": "conv_out",
    "time_embed_0": "time_embedding_linear_1",
    "time_embed_2": "time_embedding_linear_2",
}
LAYERS = 2  # at each level of all published Stable Diffusion 1 and 2


def is_ldm(joined: str) -> bool:
    """Whether a layer, its words joined by underscores, is named as the original code does."""
    return joined in ENDS or BLOCK.fullmatch(joined) is not None


def from_ldm(joined: str) -> str:
    """A layer's words joined by underscores -> diffusers' words, joined likewise; other names as they are."""
    if joined in ENDS:
        return ENDS[joined]
    match = BLOCK.fullmatch(joined)
    return joined if match is None else "_".join(_block(match, "_", LAYERS))


def tensor_from_ldm(name: str, layers: int) -> str:
    """A tensor's dotted name -> diffusers'; `layers` at each level. Names of no layer of the UNet stay as they are."""
    layer, _, leaf = name.rpartition(".")
    end = ENDS.get(layer.replace(".", "_"))
    if end is not None:
        return f"{end.replace('_linear', '.linear')}.{leaf}"
    match = BLOCK.fullmatch(layer)
    return name if match is None else ".".join((*_block(match, ".", layers), leaf))


def _block(match: re.Match[str], joint: str, layers: int) -> tuple[str, ...]:
    """The words of a layer within a block. The original lists have `layers` and a change of size at one level."""
    index = int(match["index"])
    if match["part"] == "middle_block":
        kind, rest = ("attentions", match["rest"]) if index == 1 else ("resnets", match["rest"])
        return "mid_block", kind, str(index // 2), _leaf(rest)
    inner, _, rest = match["rest"].partition(joint)
    place = index - 1 if match["part"] == "input_blocks" else index
    blocks = "down_blocks" if match["part"] == "input_blocks" else "up_blocks"
    level, number = divmod(place, layers + 1)
    if rest in ("op", "conv"):
        return blocks, str(level), "downsamplers" if rest == "op" else "upsamplers", "0", "conv"
    return blocks, str(level), "attentions" if inner == "1" else "resnets", str(number), _leaf(rest)


def _leaf(rest: str) -> str:
    return LEAVES.get(rest.replace(".", "_"), rest)
