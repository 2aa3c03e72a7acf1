"""How LoRA files name their tensors: diffusers and PEFT, kohya's sd-scripts (as in ComfyUI), and the original LDM.

Every reader gives (network, layer, side): "unet" or "text_encoder", the layer's name in the diffusers checkpoint, and
"A" (down), "B" (up) or "alpha".
"""

from __future__ import annotations

import re
from typing import NamedTuple, Optional

NETWORKS = ("unet", "text_encoder")
KOHYA_PREFIXES = {"unet": "lora_unet_", "text_encoder": "lora_te_"}
PEFT_PREFIX = "base_model.model."

# How A (down) and B (up) are spelled after the layer's name in diffusers' and PEFT's files, newest first.
SPELLINGS = (
    re.compile(r"(?P<layer>.+)\.lora_(?P<side>[AB])(\.default)?\.weight"),
    re.compile(r"(?P<layer>.+)\.lora\.(?P<side>down|up)\.weight"),
    re.compile(r"(?P<layer>.+)\.lora_linear_layer\.(?P<side>down|up)\.weight"),
    re.compile(r"(?P<layer>.+?)(\.processor)?\.(?P<leaf>to_q|to_k|to_v|to_out)_lora\.(?P<side>down|up)\.weight"),
)
ALPHA = re.compile(r"(?P<layer>.+?)(\.lora)?\.alpha")
KOHYA = re.compile(r"lora_(?P<network>unet|te1?)_(?P<layer>\w+)\.(?P<side>lora_down\.weight|lora_up\.weight|alpha)")
SIDES = {"down": "A", "up": "B", "lora_down.weight": "A", "lora_up.weight": "B"}

# The attributes of the UNet and the text encoder. kohya joins them by underscores, which some of them hold themselves;
# no two sequences of them are joined alike.
# fmt: off
WORDS = (
    "conv_in", "conv_out", "time_embedding", "linear_1", "linear_2", "down_blocks", "mid_block", "up_blocks",
    "resnets", "attentions", "downsamplers", "upsamplers", "conv", "conv1", "conv2", "conv_shortcut",
    "time_emb_proj", "proj_in", "proj_out", "transformer_blocks", "attn1", "attn2", "to_q", "to_k", "to_v",
    "to_out", "ff", "net", "proj", "text_model", "encoder", "layers", "self_attn", "q_proj", "k_proj", "v_proj",
    "out_proj", "mlp", "fc1", "fc2",
)
# fmt: on
WORD = re.compile("(?:" + "|".join(sorted(WORDS, key=len, reverse=True)) + r"|\d+)(?=_|$)")

LDM_BLOCK = re.compile(r"(?P<part>input_blocks|middle_block|output_blocks)_(?P<index>\d+)_(?P<rest>.+)")
LDM_LEAVES = {
    "in_layers_2": "conv1",
    "out_layers_3": "conv2",
    "emb_layers_1": "time_emb_proj",
    "skip_connection": "conv_shortcut",
}
LDM_ENDS = {
    "input_blocks_0_0": "conv_in",
    "out_2": "conv_out",
    "time_embed_0": "time_embedding_linear_1",
    "time_embed_2": "time_embedding_linear_2",
}
PER_LEVEL = 3  # places of LDM's lists at one level: two layers and a change of size


class Part(NamedTuple):
    """What a tensor of a LoRA file is."""

    network: str
    layer: str
    side: str  # "A", "B" or "alpha"


def parse(name: str) -> Optional[tuple[str, Part]]:
    """Tensor name -> (format it is written in, what it is), or None for a name that is not LoRA's."""
    if name.startswith("lora_"):
        return _parse_kohya(name)
    format = "diffusers"
    network, _, rest = name.partition(".")
    if name.startswith(PEFT_PREFIX):
        format, rest = "peft", name[len(PEFT_PREFIX) :]
        network = "text_encoder" if "encoder.layers." in rest else "unet"
    elif network not in NETWORKS:
        network, rest = "unet", name  # the oldest files hold a UNet only and do not say so
    for spelling in SPELLINGS:
        match = spelling.fullmatch(rest)
        if match is not None:
            groups = match.groupdict()
            leaf = groups.get("leaf")
            layer = groups["layer"]
            if leaf is not None:
                layer += ".to_out.0" if leaf == "to_out" else f".{leaf}"
            side = SIDES.get(groups["side"], groups["side"])
            return format, Part(network, _prefixed(network, layer), side)
    match = ALPHA.fullmatch(rest)
    return (format, Part(network, _prefixed(network, match["layer"]), "alpha")) if match is not None else None


def kohya_name(network: str, layer: str) -> str:
    """kohya's name of a layer: lora_unet_mid_block_attentions_0_proj_in."""
    return KOHYA_PREFIXES[network] + layer.replace(".", "_")


def _prefixed(network: str, layer: str) -> str:
    """transformers 5 leaves out the prefix that the checkpoints have."""
    return f"text_model.{layer}" if network == "text_encoder" and layer.startswith("encoder.") else layer


def _parse_kohya(name: str) -> Optional[tuple[str, Part]]:
    match = KOHYA.fullmatch(name)
    if match is None:
        return None
    network = "unet" if match["network"] == "unet" else "text_encoder"
    layer = _dotted(_from_ldm(match["layer"]) if network == "unet" else match["layer"])
    if layer is None:
        return None
    return "kohya", Part(network, layer, SIDES.get(match["side"], match["side"]))


def _dotted(joined: str) -> Optional[str]:
    """mid_block_attentions_0_proj_in -> mid_block.attentions.0.proj_in; None where a word is none of the networks'."""
    words, at = [], 0
    while at <= len(joined):
        match = WORD.match(joined, at)
        if match is None:
            return None
        words.append(match[0])
        at = match.end() + 1
    return ".".join(words)


def _from_ldm(joined: str) -> str:
    """A UNet layer under the names of the original latent-diffusion code -> diffusers' words; others as they are.

    For two layers a level, as all published Stable Diffusion 1 and 2 have them.
    """
    if joined in LDM_ENDS:
        return LDM_ENDS[joined]
    match = LDM_BLOCK.fullmatch(joined)
    if match is None:
        return joined
    index = int(match["index"])
    if match["part"] == "middle_block":
        kind, rest = ("attentions", match["rest"]) if index == 1 else ("resnets", match["rest"])
        return f"mid_block_{kind}_{index // 2}_{LDM_LEAVES.get(rest, rest)}"
    inner, _, rest = match["rest"].partition("_")
    place = index - 1 if match["part"] == "input_blocks" else index
    blocks = "down_blocks" if match["part"] == "input_blocks" else "up_blocks"
    level, number = divmod(place, PER_LEVEL)
    if rest in ("op", "conv"):
        return f"{blocks}_{level}_{'downsamplers' if rest == 'op' else 'upsamplers'}_0_conv"
    kind = "attentions" if inner == "1" else "resnets"
    return f"{blocks}_{level}_{kind}_{number}_{LDM_LEAVES.get(rest, rest)}"
