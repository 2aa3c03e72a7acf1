"""Tensors of the text encoders that single-file checkpoints hold -> the names of transformers' CLIPTextModel.

Stable Diffusion 1 holds OpenAI's CLIP as transformers names it, Stable Diffusion 2 OpenCLIP's own text tower.
Sources: transformers' CLIPTextModel; mlfoundations/open_clip, transformer.py.
"""

from __future__ import annotations

import re

CLIP = ("embeddings.", "encoder.layers.", "final_layer_norm.")
OPEN_CLIP = {
    "token_embedding.weight": "embeddings.token_embedding.weight",
    "positional_embedding": "embeddings.position_embedding.weight",
    "ln_final.weight": "final_layer_norm.weight",
    "ln_final.bias": "final_layer_norm.bias",
}
BLOCK = re.compile(r"transformer\.resblocks\.(?P<index>\d+)\.(?P<rest>.+)")
LAYERS = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
    "attn.out_proj": "self_attn.out_proj",
}
FUSED = re.compile(r"attn\.in_proj_(weight|bias)")  # of queries, keys and values, one below the other


def from_clip(name: str) -> str | None:
    """A tensor of transformers' text model; None for what is there beside its weights, such as a projection."""
    short = name[len("text_model.") :] if name.startswith("text_model.") else name  # which some merges leave out
    if not short.startswith(CLIP) or short.endswith("position_ids"):
        return None
    return f"text_model.{short}"


def from_open_clip(name: str, layers: int) -> tuple[str, ...]:
    """What a tensor of OpenCLIP becomes: one tensor, three of equal height, or none.

    Layers from `layers` on, the projection and the temperature are left out: Stable Diffusion 2 reads what comes out of
    the last layer but one.
    """
    if name in OPEN_CLIP:
        return (f"text_model.{OPEN_CLIP[name]}",)
    match = BLOCK.fullmatch(name)
    if match is None or int(match["index"]) >= layers:
        return ()
    stem = f"text_model.encoder.layers.{match['index']}"
    fused = FUSED.fullmatch(match["rest"])
    if fused is not None:
        return tuple(f"{stem}.self_attn.{part}_proj.{fused[1]}" for part in "qkv")
    layer, _, leaf = match["rest"].rpartition(".")
    return (f"{stem}.{LAYERS.get(layer, layer)}.{leaf}",)
