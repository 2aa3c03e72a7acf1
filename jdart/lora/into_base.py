"""A base model folder with a LoRA in its weights. Arrays only: no network is built."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from contest.disk.drafts import draft_folder
from contest.disk.files import write_bytes
from contest.errors import UserError, needs
from jdart.lora.dora import gain
from jdart.lora.pairs import LoraPair, addition, coverage, require_fit
from jdart.models.build import TEXT_STEMS, UNET_STEMS
from jdart.models.tensors import read_tensors
from jdart.models.weights import text_name, weight_files

STEMS = {"unet": UNET_STEMS, "text_encoder": TEXT_STEMS}
WEIGHTS = (".safetensors", ".bin", ".index.json", ".ckpt", ".msgpack", ".h5")


def merge_into_base(base: Path, out: Path, loras: Sequence[Mapping[str, Mapping[str, LoraPair]]], dtype: type) -> None:
    """Write a copy of `base` (diffusers' layout) to `out`, `loras` merged into its weights, all at once or not at all.

    They are merged one after the other, as `jdart.lora.merge` does it, a DoRA with the norms of `base`. The weights of
    the networks that are changed are written as one safetensors file of `dtype`; everything else is copied. Raises
    UserError when a pair fits no layer, or when `out` is there already.
    """
    if out.exists():
        raise UserError(f"{out} is there already; choose another folder")
    if not (base / "unet" / "config.json").is_file():
        raise UserError(f"{base}: not a diffusers folder, unet/config.json not found; name a base model's folder")
    changed = {}
    for network in STEMS:
        own = [pairs[network] for pairs in loras if pairs.get(network)]
        if own:
            changed[network] = _added(base / network, network, own, dtype)
    out.parent.mkdir(parents=True, exist_ok=True)
    with draft_folder(out) as work:
        copy = work / out.name

        def stale(folder: str, names: list[str]) -> list[str]:
            """Weights of a changed network, in whatever format, are not copied."""
            changes = Path(folder).parent == base and Path(folder).name in changed
            return [name for name in names if changes and name.endswith(WEIGHTS)]

        shutil.copytree(base, copy, ignore=stale)
        for network, tensors in changed.items():
            write_bytes(copy / network / f"{STEMS[network][0]}.safetensors", tensors)
        copy.rename(out)


def _added(folder: Path, network: str, loras: Sequence[Mapping[str, LoraPair]], dtype: type) -> bytes:
    """The weights of one network with `loras` merged into them, as safetensors."""
    with needs("train"):
        from safetensors.numpy import save
    tensors = dict(read_tensors(weight_files(folder, STEMS[network])))
    layers = {_layer(network, name): name for name, array in tensors.items() if _is_weight(name, array)}
    shapes = {layer: tensors[name].shape for layer, name in layers.items()}
    for pairs in loras:
        require_fit(coverage(shapes, pairs))
    whole = [layers[layer] for pairs in loras for layer in pairs if tensors[layers[layer]].dtype.kind != "f"]
    if whole:
        raise UserError(f"{folder}: {whole[0]} is in whole numbers (quantised); take a base in full or half precision")
    plain = dict(tensors)
    for layer, pair in ((layer, pair) for pairs in loras for layer, pair in pairs.items()):
        name, fitted = layers[layer], pair.fitted(shapes[layer])
        delta, m = addition(layer, fitted, 1.0), fitted.magnitude
        tensors[name] = tensors[name] + delta
        if m is not None:
            tensors[name] = tensors[name] * gain(layer, m, plain[name] + delta)
    with np.errstate(over="ignore"):
        stored = {name: array.astype(dtype) if array.dtype.kind == "f" else array for name, array in tensors.items()}
    large = [name for name, array in stored.items() if array.dtype.kind == "f" and not np.isfinite(array).all()]
    if large:
        raise UserError(f"{folder}: {large[0]} holds numbers that are not finite in {dtype.__name__}; take fp32")
    return save({name: np.ascontiguousarray(array) for name, array in stored.items()}, metadata={"format": "pt"})


def _is_weight(name: str, array: np.ndarray) -> bool:
    return name.endswith(".weight") and array.ndim in (2, 4) and "embedding.weight" not in name


def _layer(network: str, name: str) -> str:
    full = text_name(name) if network == "text_encoder" else name
    return (name if full is None else full)[: -len(".weight")]
