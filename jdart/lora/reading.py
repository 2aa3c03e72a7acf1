"""LoRA files in, whatever their format. Nothing in them is executed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from jdart.lora.adapter import noted_alpha, require_plain
from jdart.lora.file import METADATA_KEY, PEFT_CONFIG, PEFT_WEIGHTS, LoraFile
from jdart.lora.names import NETWORKS, Part, parse
from jdart.lora.pairs import LoraPair
from jdart.models.tensors import read_tensors
from submission.errors import UserError
from submission.files import read_json


def load_lora(path: Path, alpha: float | None = None) -> LoraFile:
    """Read a LoRA of any of FORMATS: a .safetensors or .bin file, or a folder of PEFT. Nothing in it is executed.

    `alpha` is for a file that does not say its own. Raises UserError for a missing or unreadable file, a tensor that
    is no part of a pair, one half of a pair alone, shapes that do not belong together, numbers that are not finite.
    """
    if path.is_dir():
        return _load_peft(path, alpha)
    if not path.is_file():
        raise UserError(f"{path}: no such file; name a LoRA file (.safetensors or .bin), or a folder that PEFT wrote")
    metadata = _metadata(path) if path.suffix == ".safetensors" else {}
    noted = _notes(metadata, METADATA_KEY, path)
    adapters = {n: {k[len(n) + 1 :]: v for k, v in noted.items() if k.startswith(f"{n}.")} for n in NETWORKS}
    lora = _assemble(path, adapters, alpha)
    return replace(lora, settings=_notes(metadata, "jdart", path), format=_format(lora.format, path))


def load_notes(path: Path) -> dict[str, Any]:
    """What jdart noted in a LoRA file of its own, without reading its tensors; nothing of any other file."""
    return _notes(_metadata(path), "jdart", path) if path.suffix == ".safetensors" and path.is_file() else {}


def _load_peft(folder: Path, alpha: float | None) -> LoraFile:
    """A folder with adapter_config.json, or with one for each network in unet/ and text_encoder/."""
    parts = [folder, *(folder / network for network in NETWORKS)]
    configs = [part for part in parts if (part / PEFT_CONFIG).is_file()]
    if not configs:
        raise UserError(f"{folder}: no {PEFT_CONFIG} in it; name a LoRA file, or a folder that PEFT wrote")
    pairs: dict[str, Mapping[str, LoraPair]] = {network: {} for network in NETWORKS}
    settings: dict[str, Any] = {}
    known = True
    for part in configs:
        path = next((part / name for name in PEFT_WEIGHTS if (part / name).is_file()), None)
        if path is None:
            raise UserError(f"{part}: no {' or '.join(PEFT_WEIGHTS)} in it; copy it there too")
        adapter = read_json(part / PEFT_CONFIG)
        if not isinstance(adapter, dict):
            raise UserError(f"{part / PEFT_CONFIG}: no JSON object; save the adapter again")
        lora = _assemble(path, dict.fromkeys(NETWORKS, adapter), alpha)
        metadata = _metadata(path) if path.suffix == ".safetensors" else {}
        settings.update(_notes(metadata, "jdart", path))
        known = known and lora.alpha_known
        for network, found in lora.pairs.items():
            pairs[network] = {**pairs[network], **found}
    return LoraFile(pairs, settings, "peft", known)


def _assemble(path: Path, adapters: Mapping[str, Mapping[str, Any]], alpha: float | None) -> LoraFile:
    """The pairs of a tensor file; `adapters` is PEFT's settings of each network, empty where there are none."""
    halves: dict[tuple[str, str], dict[str, np.ndarray]] = {}
    unknown, twice, formats = [], [], set()
    for name, array in read_tensors([path]):
        found = parse(name)
        if found is None:
            unknown.append(name)
            continue
        format, part = found
        formats.add(format)
        own = halves.setdefault((part.network, part.layer), {})
        if part.side in own:
            twice.append(name)
        own[part.side] = array
    single = [".".join(key) for key, own in halves.items() if not {"A", "B"} <= set(own)]
    for names, what in ((unknown, "not LoRA tensors: "), (twice, "twice: "), (single, "only one of A and B for ")):
        if names:
            raise UserError(f"{path}: {what}{', '.join(names[:5])}{', ...' if len(names) > 5 else ''}")
    if not halves:
        raise UserError(f"{path}: holds no LoRA; name a LoRA file")
    pairs: dict[str, dict[str, LoraPair]] = {network: {} for network in NETWORKS}
    known = True
    for (network, layer), own in halves.items():
        adapter = adapters[network]
        try:
            require_plain(adapter)
            noted = own.get("alpha", noted_alpha(adapter, layer))
        except UserError as error:
            raise UserError(f"{path}: {error}") from None
        known = known and noted is not None
        chosen = float(own["A"].shape[0]) if own["A"].ndim else 0.0
        if noted is not None:
            chosen = _number(noted, path)
            if alpha is not None and chosen != alpha:
                raise UserError(f"{path}: its alpha is {chosen:g}, not {alpha:g}; leave --alpha out")
        elif alpha is not None:
            chosen = alpha
        pair = LoraPair(own["A"], own["B"], chosen, bool(adapter.get("use_rslora", False)))
        pairs[network][layer] = _checked(pair, Part(network, layer, ""), path)
    return LoraFile(pairs, format=min(formats), alpha_known=known)


def _checked(pair: LoraPair, part: Part, path: Path) -> LoraPair:
    """The pair, once its shapes belong together and its numbers are finite."""
    a, b = pair.a, pair.b
    shapes = a.ndim == b.ndim and a.ndim in (2, 4) and a.shape[0] == b.shape[1] > 0 and b.shape[2:] in ((), (1, 1))
    if not shapes:
        raise UserError(
            f"{path}: {part.network}.{part.layer}: A {a.shape} and B {b.shape} are no pair of a linear layer or a "
            "convolution; fetch the file again, or train it again"
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all() and np.isfinite(pair.alpha)):
        raise UserError(
            f"{path}: {part.network}.{part.layer} holds numbers that are not finite: its training diverged; "
            "train again with a lower learning rate"
        )
    return pair


def _metadata(path: Path) -> dict[str, str]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata()
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: not a readable safetensors file ({error})") from error
    return {} if metadata is None else metadata


def _notes(metadata: Mapping[str, str], key: str, path: Path) -> dict[str, Any]:
    """What a writer noted under `key` as a JSON object."""
    try:
        notes = json.loads(metadata.get(key, "{}"))
    except (ValueError, RecursionError):
        notes = None
    if not isinstance(notes, dict):
        raise UserError(f"{path}: its metadata {key} is no JSON object; fetch the file again, or train it again")
    return notes


def _format(found: str, path: Path) -> str:
    return "bin" if found == "diffusers" and path.suffix != ".safetensors" else found


def _number(value: Any, path: Path) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{path}: an alpha is no number; fetch the file again, or train it again") from error
