"""Layers of the UNet under the names of the original latent-diffusion code -> diffusers' names.

Source: the order in which that code builds its lists (CompVis/latent-diffusion, openaimodel.py).
"""

from __future__ import annotations

import re

BLOCK = re.compile(r"(?P<part>input_blocks|middle_block|output_blocks)_(?P<index>\d+)_(?P<rest>.+)")
LEAVES = {
    "in_layers_2": "conv1",
    "out_layers_3": "conv2",
    "emb_layers_1": "time_emb_proj",
    "skip_connection": "conv_shortcut",
}
ENDS = {
    "input_blocks_0_0": "conv_in",
    "out_2": "conv_out",
    "time_embed_0": "time_embedding_linear_1",
    "time_embed_2": "time_embedding_linear_2",
}
PER_LEVEL = 3  # places of LDM's lists at one level: two layers and a change of size


def is_ldm(joined: str) -> bool:
    """Whether a layer, its words joined by underscores, is named as the original code does."""
    return joined in ENDS or BLOCK.fullmatch(joined) is not None


def from_ldm(joined: str) -> str:
    """A layer's words joined by underscores -> diffusers' words, joined likewise; other names as they are.

    For two layers a level, as all published Stable Diffusion 1 and 2 have them.
    """
    if joined in ENDS:
        return ENDS[joined]
    match = BLOCK.fullmatch(joined)
    if match is None:
        return joined
    index = int(match["index"])
    if match["part"] == "middle_block":
        kind, rest = ("attentions", match["rest"]) if index == 1 else ("resnets", match["rest"])
        return f"mid_block_{kind}_{index // 2}_{LEAVES.get(rest, rest)}"
    inner, _, rest = match["rest"].partition("_")
    place = index - 1 if match["part"] == "input_blocks" else index
    blocks = "down_blocks" if match["part"] == "input_blocks" else "up_blocks"
    level, number = divmod(place, PER_LEVEL)
    if rest in ("op", "conv"):
        return f"{blocks}_{level}_{'downsamplers' if rest == 'op' else 'upsamplers'}_0_conv"
    kind = "attentions" if inner == "1" else "resnets"
    return f"{blocks}_{level}_{kind}_{number}_{LEAVES.get(rest, rest)}"
