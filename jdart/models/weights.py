"""Weights of a network: find their files, map old names to new ones, and assign them only when every tensor fits."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from contest.disk.files import parse_json
from contest.errors import UserError
from jdart.models.tensors import read_tensors

log = logging.getLogger(__name__)

SAFETENSORS_FIRST = (
    ".safetensors",
    ".safetensors.index.json",
    ".fp16.safetensors",
    ".safetensors.index.fp16.json",
    ".bin",
    ".bin.index.json",
    ".fp16.bin",
    ".bin.index.fp16.json",
)
OLD_VAE_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def choose_weights(names: Container[str], stems: tuple[str, ...]) -> str | None:
    """The one of a part's files that holds a network's weights, or the index of their shards; None where there is none.

    safetensors before .bin, full precision before fp16.
    """
    found = (stem + suffix for suffix in SAFETENSORS_FIRST for stem in stems if stem + suffix in names)
    return next(found, None)


def weight_files(folder: Path, stems: tuple[str, ...]) -> list[Path]:
    """The file, or the shards, that hold a network's weights, as `choose_weights` chooses.

    Raises UserError when there is none, or when an index names a shard that is not there.
    """
    name = choose_weights({path.name for path in folder.glob("*") if path.is_file()}, stems)
    if name is not None:
        return _shards(folder / name) if name.endswith(".json") else [folder / name]
    tried = " or ".join(f"{stem}.safetensors / {stem}.bin" for stem in stems)
    raise UserError(f"{folder}: no weights found ({tried}); is this a diffusers folder?")


def _shards(index: Path) -> list[Path]:
    try:
        names = sorted(set(parse_json(index.read_text("utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise UserError(f"{index}: not a shard index ({error}); fetch it again") from error
    paths = [index.parent / Path(str(name)).name for name in names]
    missing = [path.name for path in paths if not os.path.isfile(path)]
    if missing:
        raise UserError(f"{index.parent}: the index names files that are not there: {', '.join(missing)}; fetch them")
    return paths


def vae_name(name: str) -> str:
    """Names of the VAE's attention in checkpoints written before diffusers 0.18 -> today's."""
    match = re.fullmatch(r"(.*mid_block\.attentions\.0\.)(query|key|value|proj_attn)(\.\w+)", name)
    return match[1] + OLD_VAE_ATTENTION[match[2]] + match[3] if match is not None else name


def text_name(name: str) -> str | None:
    """Names of a CLIP text model, with the prefix that transformers 5 leaves out; position ids are dropped."""
    if name.endswith("embeddings.position_ids"):
        return None
    return name if name.startswith("text_model.") else f"text_model.{name}"


def load(
    network: Any,
    paths: list[Path],
    rename: Callable[[str], str | None] = lambda name: name,
    storage_dtype: str = "float32",
) -> None:
    """Fill `network` (a jittor Module) from weight files. Nothing is assigned unless everything fits.

    `storage_dtype`, float32 or float16, is what the weights of linear layers and convolutions are kept in. Raises
    UserError that names every missing, unexpected, mis-shaped and quantised tensor (at most five of each kind), or one
    whose numbers float16 cannot hold.
    """
    problems = fill(network, read_tensors(paths), rename, storage_dtype)
    if problems:
        raise UserError(f"{paths[0].parent}: the weights do not fit the configuration: {problems}")


def fill(
    network: Any,
    tensors: Iterable[tuple[str, np.ndarray]],
    rename: Callable[[str], str | None] = lambda name: name,
    storage_dtype: str = "float32",
) -> str:
    """Assign `tensors` (name, array) to `network` if all fit; else nothing, and the text says what `mismatch` says."""
    import jittor as jt
    from jittor import nn

    slots = dict(slots_of(network))
    found: dict[str, np.ndarray] = {}
    unexpected: list[str] = []
    for name, array in tensors:
        target = rename(name)
        if target is None:
            continue
        if target not in slots:
            unexpected.append(name)
            continue
        module, leaf, shape = slots[target]
        array = _as_slot(array, shape)
        narrow = storage_dtype == "float16" and leaf == "weight" and isinstance(module, (nn.Linear, nn.Conv))
        found[target] = _float16(name, array) if narrow else array
    problems = mismatch({name: shape for name, (_, _, shape) in slots.items()}, found, unexpected)
    if not problems:
        for name, (module, leaf, _) in slots.items():
            setattr(module, leaf, jt.array(found.pop(name)))  # which copies: never two of all at once
    return problems


def slots_of(network: Any) -> Iterator[tuple[str, tuple[Any, str, tuple[int, ...]]]]:
    """(full name, (module, attribute, shape)) of every tensor of a jittor Module."""
    import jittor as jt

    for prefix, module in network.named_modules():
        for leaf, value in vars(module).items():
            if isinstance(value, jt.Var):
                name = f"{prefix}.{leaf}" if prefix else leaf
                yield name, (module, leaf, tuple(value.shape))


def mismatch(wanted: Mapping[str, tuple[int, ...]], found: Mapping[str, np.ndarray], unexpected: list[str]) -> str:
    """Describe what is missing, unexpected, mis-shaped or quantised; an empty string when everything fits."""
    missing = [name for name in wanted if name not in found]
    shapes = [
        f"{name} is {tuple(found[name].shape)}, expected {shape}"
        for name, shape in wanted.items()
        if name in found and tuple(found[name].shape) != shape
    ]
    whole = [f"{name} is {found[name].dtype}" for name in wanted if name in found and found[name].dtype.kind != "f"]
    parts = [("missing", missing), ("unexpected", unexpected), ("mis-shaped", shapes), ("in whole numbers", whole)]
    return "; ".join(f"{len(names)} {kind}: {_some(names)}" for kind, names in parts if names)


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def _float16(name: str, array: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        kept = array.astype(np.float16)
    if np.isfinite(array).all() and not np.isfinite(kept).all():
        raise UserError(f"{name} holds numbers beyond float16; leave memory.storage_dtype at float32")
    return kept


def _as_slot(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Old VAE checkpoints keep attention matrices as 1x1 convolutions."""
    if array.ndim == 4 and len(shape) == 2 and array.shape[2:] == (1, 1):
        return array[:, :, 0, 0]
    return array
