"""`base.clip_skip` for diffusers, whose pipelines skip no layer for the negative prompt: a text encoder without them.

The output of a layer goes through the final norm whichever layer it is, so that a text encoder which ends earlier
gives the same embeddings, of both prompts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from contest.disk.files import read_json, write_bytes, write_json
from jdart.lora.formats.file import LoraFile
from jdart.lora.pairs import LoraPair
from jdart.models.build import TEXT_STEMS, Base
from jdart.models.tensors import read_tensors, to_safetensors
from jdart.models.weights import weight_files

LAYER = re.compile(r"encoder\.layers\.(\d+)\.")


def write_text_encoder(base: Base, out: Path) -> None:
    """The text encoder of `base` as the folder `out`, without the layers that are not read; float32."""
    tensors = read_tensors(weight_files(base.part("text_encoder"), TEXT_STEMS))
    kept = {name: array for name, array in tensors if is_read(base, name)}
    write_bytes(out / "model.safetensors", to_safetensors(kept, {"format": "pt"}))
    config = read_json(base.part("text_encoder") / "config.json")
    write_json(out / "config.json", {**config, "num_hidden_layers": layers_read(base)})


def without_unread(lora: LoraFile, base: Base) -> LoraFile:
    """A LoRA without its layers of the text encoder that are not read."""
    text: Mapping[str, LoraPair] = lora.pairs.get("text_encoder", {})
    kept = {name: pair for name, pair in text.items() if is_read(base, f"{name}.")}
    return replace(lora, pairs={**lora.pairs, "text_encoder": kept})


def is_read(base: Base, name: str) -> bool:
    """Whether a tensor of the text encoder is of a layer that is read."""
    layer = LAYER.search(name)
    return layer is None or int(layer[1]) < layers_read(base)


def layers_read(base: Base) -> int:
    """How many layers of the text encoder are read."""
    return int(base.configs["text_encoder"].num_hidden_layers) - base.config.clip_skip
