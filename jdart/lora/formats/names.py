"""How LoRA files name their tensors: prefix (network and writer), layer, and leaf (A, B, ...), each read for itself.

Every reader gives (network, layer, side): "unet" or "text_encoder", the layer's name in the diffusers checkpoint, and
"A" (down), "B" (up), "mid" (the core between them, of a Tucker decomposition), "alpha", or the magnitude of a DoRA, as
PEFT shapes it ("magnitude_vector") or as LyCORIS does ("dora_scale").
"""

from __future__ import annotations

import re
from typing import NamedTuple, Optional

from jdart.models.single_file.unet_names import from_ldm, is_ldm

NETWORKS = ("unet", "text_encoder")
KOHYA_PREFIXES = {"unet": "lora_unet_", "text_encoder": "lora_te_"}
PEFT_PREFIX = "base_model.model."
TEXT_PREFIX = "text_model."  # left out by transformers 5

# Prefix -> network (None: the layer's name tells) and format; the first that fits. After an underscore at the end, the
# layer's words are joined by underscores.
PREFIXES = (
    ("lora_unet_", "unet", "kohya"),
    ("lora_te_", "text_encoder", "kohya"),
    ("lora_te1_", "text_encoder", "kohya"),
    ("lycoris_", None, "kohya"),
    ("lora_unet.", "unet", "kohya"),  # OneTrainer's own names, before it joins them
    ("lora_te.", "text_encoder", "kohya"),
    ("lora_te1.", "text_encoder", "kohya"),
    ("model.diffusion_model.", "unet", "comfyui"),
    ("diffusion_model.", "unet", "comfyui"),
    ("text_encoders.clip_l.transformer.", "text_encoder", "comfyui"),
    ("text_encoders.clip_h.transformer.", "text_encoder", "comfyui"),
    ("cond_stage_model.transformer.", "text_encoder", "comfyui"),
    ("clip_l.transformer.", "text_encoder", "comfyui"),
    ("clip_h.transformer.", "text_encoder", "comfyui"),
    ("clip_l.", "text_encoder", "comfyui"),  # OneTrainer, after the Open Model Initiative
    ("unet.", "unet", "diffusers"),
    ("text_encoder.", "text_encoder", "diffusers"),
    (PEFT_PREFIX, None, "peft"),
    ("", None, "diffusers"),  # the oldest files hold a UNet only and do not say so
)
WRAPPERS = (PEFT_PREFIX, "_orig_mod.", "module.")  # of PEFT, torch.compile, data-parallel training

LEAVES = (
    re.compile(r"(?P<stem>.+)\.lora_(?P<side>A|B|down|up|mid)(\.[^.]+)?\.weight"),  # between them the adapter's name
    re.compile(r"(?P<stem>.+?)(\.lora|\.lora_linear_layer|_lora)\.(?P<side>down|up)\.weight"),
    re.compile(r"(?P<stem>.+?)(\.lora)?\.(?P<side>alpha|dora_scale)"),
    re.compile(r"(?P<stem>.+)\.lora_(?P<side>magnitude_vector)(\.[^.]+)?(\.weight)?"),
)
TRAINING_ONLY = (".lora_velora_embed",)  # ends of names: VeLoRA's gradients need it, what is drawn does not
SIDES = {"down": "A", "up": "B"}
OLD_TEXT_LEAVES = {"to_q": "q_proj", "to_k": "k_proj", "to_v": "v_proj", "to_out": "out_proj"}

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


class Part(NamedTuple):
    """What a tensor of a LoRA file is."""

    network: str
    layer: str
    side: str  # "A", "B", "mid", "alpha", "magnitude_vector" or "dora_scale"


def parse(name: str) -> Optional[tuple[str, Part]]:
    """Tensor name -> (format it is written in, what it is), or None for a name that is not LoRA's."""
    match = next(filter(None, (leaf.fullmatch(name) for leaf in LEAVES)), None)
    if match is None:
        return None
    side = SIDES.get(match["side"], match["side"])
    prefix, network, format = next(entry for entry in PREFIXES if match["stem"].startswith(entry[0]))
    given = match["stem"][len(prefix) :]
    for wrapper in WRAPPERS:
        given = given.removeprefix(wrapper)
    joined = given.replace(".", "_")
    layer = _dotted(from_ldm(joined)) if prefix.endswith("_") or is_ldm(joined) else given
    if not layer:
        return None
    if network is None:
        network = "text_encoder" if "encoder.layers." in layer else "unet"
    return format, Part(network, _todays(network, layer), side)


def kohya_name(network: str, layer: str) -> str:
    """kohya's name of a layer: lora_unet_mid_block_attentions_0_proj_in."""
    return KOHYA_PREFIXES[network] + layer.replace(".", "_")


def _todays(network: str, layer: str) -> str:
    """Older spellings of layers, and those of transformers 5, as the checkpoints have them."""
    layer = layer.replace(".processor.", ".")
    if network == "unet":
        return f"{layer}.0" if layer.endswith(".to_out") else layer
    head, dot, leaf = layer.rpartition(".")
    layer = head + dot + OLD_TEXT_LEAVES.get(leaf, leaf)
    return layer if not layer.startswith("encoder.") else TEXT_PREFIX + layer


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
