"""LoRA files: diffusers/PEFT safetensors written and read, and the `.bin` files of the JDiffusion baseline read.

A file holds two matrices a layer, `unet.<layer>.lora_A.weight` and `.lora_B.weight`, or the same under the older
names of diffusers. Alpha has no tensor in this layout; it is in the metadata (`lora_adapter_metadata`, as diffusers
writes it) or equals the rank.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jdart.models.weights import read_tensors
from submission.errors import UserError, needs
from submission.files import write_bytes

if TYPE_CHECKING:
    from jdart.lora import LoraPair

FILE_NAME = "pytorch_lora_weights.safetensors"
NETWORKS = ("unet", "text_encoder")
METADATA_KEY = "lora_adapter_metadata"

# How A (down) and B (up) are spelled after the layer's name, newest first.
SPELLINGS = (
    re.compile(r"(?P<layer>.+)\.lora_(?P<side>[AB])(\.default)?\.weight"),
    re.compile(r"(?P<layer>.+)\.lora\.(?P<side>down|up)\.weight"),
    re.compile(r"(?P<layer>.+)\.lora_linear_layer\.(?P<side>down|up)\.weight"),
    re.compile(r"(?P<layer>.+?)(\.processor)?\.(?P<leaf>to_q|to_k|to_v|to_out)_lora\.(?P<side>down|up)\.weight"),
)
ALPHA = re.compile(r"(?P<layer>.+?)(\.lora)?\.alpha")


@dataclass(frozen=True)
class LoraFile:
    """Pairs by network ("unet", "text_encoder") and layer name; `settings` is what the writer noted beside them."""

    pairs: Mapping[str, Mapping[str, LoraPair]]
    settings: Mapping[str, Any] = field(default_factory=dict)  # jdart's own: base, template, style, ...


def save_lora(path: Path, lora: LoraFile) -> None:
    """Write safetensors in the diffusers/PEFT layout, atomically.

    Rank, alpha and targets go into `lora_adapter_metadata`, which diffusers hands to PEFT; `lora.settings` goes under
    "jdart".
    """
    with needs("train"):
        from safetensors.numpy import save

    tensors: dict[str, np.ndarray] = {}
    adapter: dict[str, Any] = {}
    for network, pairs in lora.pairs.items():
        for layer, pair in pairs.items():
            tensors[f"{network}.{layer}.lora_A.weight"] = pair.a
            tensors[f"{network}.{layer}.lora_B.weight"] = pair.b
        if pairs:
            first = next(iter(pairs.values()))
            adapter.update(
                {
                    f"{network}.r": first.rank,
                    f"{network}.lora_alpha": first.alpha,
                    f"{network}.target_modules": sorted({_target(name) for name in pairs}),
                    f"{network}.rank_pattern": {_tail(n): p.rank for n, p in pairs.items() if p.rank != first.rank},
                    f"{network}.alpha_pattern": {_tail(n): p.alpha for n, p in pairs.items() if p.alpha != first.alpha},
                }
            )
    metadata = {"format": "pt", METADATA_KEY: json.dumps(adapter, sort_keys=True)}
    metadata["jdart"] = json.dumps(dict(lora.settings), sort_keys=True)
    write_bytes(path, _sorted_header(save(tensors, metadata=metadata)))


def load_lora(path: Path) -> LoraFile:
    """Read a LoRA file (.safetensors or .bin; nothing in it is executed).

    Raises UserError for a missing or unreadable file, a tensor that is no part of a pair, or one half of a pair alone.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; name a LoRA file (.safetensors or .bin)")
    metadata = _metadata(path) if path.suffix == ".safetensors" else {}
    sides: dict[tuple[str, str], dict[str, np.ndarray]] = {}
    alphas: dict[tuple[str, str], float] = {}
    unknown = []
    for name, array in read_tensors([path]):
        parsed = _parse(name)
        if parsed is None:
            unknown.append(name)
        elif parsed[2] == "alpha":
            alphas[parsed[:2]] = _number(array, path)
        else:
            sides.setdefault(parsed[:2], {})[parsed[2]] = array
    if unknown:
        raise UserError(f"{path}: not LoRA tensors: {', '.join(unknown[:5])}{', ...' if len(unknown) > 5 else ''}")
    single = [".".join(key) for key, halves in sides.items() if len(halves) != 2]
    if single or not sides:
        raise UserError(f"{path}: {'only one of A and B for ' + ', '.join(single[:5]) if single else 'holds no LoRA'}")
    adapter, settings = _notes(metadata, METADATA_KEY, path), _notes(metadata, "jdart", path)
    from jdart.lora import LoraPair

    pairs: dict[str, dict[str, LoraPair]] = {network: {} for network in NETWORKS}
    for (network, layer), halves in sides.items():
        a, b = _matrix(halves["A"], path), _matrix(halves["B"], path)
        alpha = alphas.get((network, layer))
        if alpha is None:
            alpha = _number(_alpha(adapter, network, layer, a.shape[0]), path)
        pairs[network][layer] = LoraPair(a, b, alpha)
    return LoraFile(pairs, settings)


def _sorted_header(data: bytes) -> bytes:
    """The same safetensors file with its header's keys in order: the library writes metadata in a random one."""
    length = int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8 : 8 + length]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # the format aligns the numbers that follow
    return len(header).to_bytes(8, "little") + header + data[8 + length :]


def _target(layer: str) -> str:
    """The end of a layer's name that says its kind: "to_q", "to_out.0"."""
    *_, parent, leaf = layer.split(".")
    return f"{parent}.{leaf}" if leaf.isdigit() else leaf


def _tail(layer: str) -> str:
    """PEFT matches the end of names; transformers 5 names layers without this prefix, earlier ones with it."""
    return layer[len("text_model.") :] if layer.startswith("text_model.") else layer


def _metadata(path: Path) -> dict[str, str]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata()
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: not a readable safetensors file ({error})") from error
    return {} if metadata is None else metadata


def _parse(name: str) -> tuple[str, str, str] | None:
    """Tensor name -> (network, layer, "A" | "B" | "alpha"), or None for a name that is not LoRA's."""
    network, _, rest = name.partition(".")
    if network not in NETWORKS:
        network, rest = "unet", name  # the oldest files hold a UNet only and do not say so
    for spelling in SPELLINGS:
        match = spelling.fullmatch(rest)
        if match is not None:
            groups = match.groupdict()
            leaf = groups.get("leaf")
            layer = groups["layer"]
            if leaf is not None:
                layer += ".to_out.0" if leaf == "to_out" else f".{leaf}"
            return network, layer, {"down": "A", "up": "B"}.get(groups["side"], groups["side"])
    match = ALPHA.fullmatch(rest)
    return (network, match["layer"], "alpha") if match is not None else None


def _notes(metadata: Mapping[str, str], key: str, path: Path) -> dict[str, Any]:
    """What a writer noted under `key` as a JSON object."""
    try:
        notes = json.loads(metadata.get(key, "{}"))
    except ValueError:
        notes = None
    if not isinstance(notes, dict):
        raise UserError(f"{path}: its metadata {key} is no JSON object; fetch the file again, or train it again")
    return notes


def _alpha(adapter: Mapping[str, Any], network: str, layer: str, rank: int) -> Any:
    pattern = adapter.get(f"{network}.alpha_pattern", {})
    own = pattern.get(_tail(layer)) if isinstance(pattern, dict) else None
    return adapter.get(f"{network}.lora_alpha", rank) if own is None else own


def _number(value: Any, path: Path) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: an alpha is no number; fetch the file again, or train it again") from error


def _matrix(array: np.ndarray, path: Path) -> np.ndarray:
    """1x1 convolutions, as kohya keeps projections, are matrices."""
    if array.ndim == 4 and array.shape[2:] == (1, 1):
        return array[:, :, 0, 0]
    if array.ndim != 2:
        raise UserError(f"{path}: a LoRA tensor has shape {array.shape}; only adapters of linear layers are read")
    return array
