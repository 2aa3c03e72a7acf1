"""Trained networks -> the two archives that ship with the packages."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from safetensors.torch import save
from torch import Tensor, nn

from contest.disk.files import atomic_write
from evaluator.weights.folder import AESTHETIC
from evaluator.weights.pack import Numbers, Sizes, write_pack
from jdart.models.presets import PARTS, WEIGHTS
from toylab.base import PIPELINE, TEXT, Pair, Words

NAME = "jdart/toy"
TOKENIZER = ("vocab.json", "merges.txt", "tokenizer_config.json")  # written anew where the archive is unpacked
LICENCE = """These weights were trained on pictures that jdart's own code (toylab/, Apache-2.0) drew from the glyphs
of Noto Color Emoji (Google, SIL Open Font License 1.1). They are under Apache-2.0, as jdart is.
"""


def ship_base(archive: Path, vae: AutoencoderKL, pair: Pair, words: Words) -> None:
    """A base model's folder in diffusers' layout, without the tokenizer, as float16."""
    text = {name: tensor.clone() for name, tensor in pair.text_encoder.state_dict().items()}
    table = next(name for name in text if name.endswith("token_embedding.weight"))
    whole = torch.zeros(TEXT["vocab_size"], text[table].shape[1])
    whole[list(words.used)] = text[table]  # words that no caption holds stay zero, and pack well
    text[table] = whole
    states = {"unet": pair.unet.state_dict(), "vae": vae.state_dict(), "text_encoder": _as_sd(text)}
    members: dict[str, bytes] = {"LICENSE": LICENCE.encode()}
    for part in PARTS:
        tensors = {name: x.half().contiguous() if x.is_floating_point() else x for name, x in states[part].items()}
        members[f"{part}/config.json"] = _json(PIPELINE[part])
        members[f"{part}/{WEIGHTS[part]}.safetensors"] = save(tensors, metadata={"format": "pt"})
    members["scheduler/scheduler_config.json"] = _json(PIPELINE["scheduler"])
    members["model_index.json"] = _json(PIPELINE["index"])
    _zip(archive, members)


def _as_sd(text: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names as Stable Diffusion's files spell them; newer transformers leave `text_model.` out."""
    plain = {name.removeprefix("text_model."): tensor for name, tensor in text.items()}
    return {f"text_model.{name}": tensor for name, tensor in plain.items() if not name.endswith("position_ids")}


def ship_pack(archive: Path, sizes: Sizes, networks: Mapping[str, nn.Module], head: Mapping[str, Tensor]) -> None:
    """The evaluator's five networks, without the tokenizer, as float16; and the aesthetic `head`."""
    states = {name: network.state_dict() for name, network in networks.items()}
    with tempfile.TemporaryDirectory() as folder:
        write_pack(Path(folder), sizes, _numbers(states), NAME)
        members = {path.relative_to(folder).as_posix(): path.read_bytes() for path in Path(folder).rglob("*.*")}
    members = {name: data for name, data in members.items() if Path(name).name not in TOKENIZER}
    stream = io.BytesIO()
    torch.save(dict(head), stream)
    _zip(archive, {"LICENSE": LICENCE.encode(), AESTHETIC: stream.getvalue(), **members})


def _numbers(states: Mapping[str, Mapping[str, Tensor]]) -> Numbers:
    def numbers(network: str, name: str, wanted: Tensor) -> np.ndarray:
        if name not in states[network]:  # SqueezeNet's classifier, which no metric asks
            return np.zeros(tuple(wanted.shape), np.float32)
        return states[network][name].detach().numpy()

    return numbers


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=2, sort_keys=True).encode()


def _zip(archive: Path, members: Mapping[str, bytes]) -> None:
    """The same bytes for the same members; LZMA halves the half-empty tables of words."""
    with atomic_write(archive) as out, zipfile.ZipFile(out, "w", zipfile.ZIP_LZMA) as packed:
        for name in sorted(members):
            packed.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), members[name], zipfile.ZIP_LZMA)
