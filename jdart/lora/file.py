"""LoRA files, read whatever their format and written in four.

| format | file | where alpha is |
|---|---|---|
| diffusers | .safetensors, `unet.<layer>.lora_A.weight` | metadata `lora_adapter_metadata` |
| peft | a folder for each network: adapter_model.safetensors, adapter_config.json | adapter_config.json |
| kohya | .safetensors, `lora_unet_<layer>.lora_down.weight`; also ComfyUI's | a tensor for each layer |
| bin | torch's .bin, `unet.<layer>.lora.down.weight`, as JDiffusion reads it | nowhere: it equals the rank |
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from jdart.lora.adapter import adapter_config, noted_alpha, require_plain
from jdart.lora.names import NETWORKS, PEFT_PREFIX, Part, kohya_name, parse
from jdart.lora.pairs import LoraPair
from jdart.models.weights import read_tensors
from submission.errors import UserError, needs
from submission.files import read_json, write_bytes, write_json

FILE_NAME = "pytorch_lora_weights.safetensors"
METADATA_KEY = "lora_adapter_metadata"
FORMATS = ("diffusers", "peft", "kohya", "bin")
DTYPES = {"fp32": np.float32, "fp16": np.float16}
BIN_LEAVES = {"unet": "lora", "text_encoder": "lora_linear_layer"}
PEFT_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
PEFT_CONFIG = "adapter_config.json"


@dataclass(frozen=True)
class LoraFile:
    """Pairs by network ("unet", "text_encoder") and layer name; `settings` is what the writer noted beside them."""

    pairs: Mapping[str, Mapping[str, LoraPair]]
    settings: Mapping[str, Any] = field(default_factory=dict)  # jdart's own: base, template, style, ...
    format: str = "diffusers"
    alpha_known: bool = True  # False: the file says nothing, and alpha is taken as the rank


def save_lora(path: Path, lora: LoraFile, format: str = "diffusers", dtype: str = "fp32") -> None:
    """Write `lora` atomically in one of FORMATS, its numbers in one of DTYPES; `path` is a folder for "peft".

    `lora.settings` goes into the safetensors metadata under "jdart". UserError for numbers too large for `dtype`.
    """
    notes = {"format": "pt", "jdart": json.dumps(dict(lora.settings), sort_keys=True)}
    networks = {network: _same_scaling(pairs) for network, pairs in lora.pairs.items() if pairs}
    if format == "peft":
        for network, pairs in networks.items():
            named = {_transformers_name(layer): pair for layer, pair in pairs.items()}
            tensors = _tensors({network: named}, PEFT_PREFIX + "{layer}.lora_A.weight", dtype, path)
            config = {"peft_type": "LORA", **adapter_config(pairs), "bias": "none", "inference_mode": True}
            write_bytes(path / network / PEFT_WEIGHTS[0], _safetensors(tensors, notes))
            write_json(path / network / PEFT_CONFIG, config)
    elif format == "kohya":
        plain = {network: {n: p.plain() for n, p in pairs.items()} for network, pairs in networks.items()}
        tensors = _tensors(plain, "{kohya}.lora_down.weight", dtype, path)
        for network, pairs in plain.items():
            for layer, pair in pairs.items():
                tensors[f"{kohya_name(network, layer)}.alpha"] = np.array(pair.alpha, np.float32)
        write_bytes(path, _safetensors(tensors, notes))
    elif format == "bin":
        unscaled = {network: {n: p.unscaled() for n, p in pairs.items()} for network, pairs in networks.items()}
        tensors = {}
        for network, pairs in unscaled.items():
            tensors |= _tensors(
                {network: pairs}, f"{{network}}.{{layer}}.{BIN_LEAVES[network]}.down.weight", dtype, path
            )
        write_bytes(path, _torch_zip(tensors))
    else:
        tensors = _tensors(networks, "{network}.{layer}.lora_A.weight", dtype, path)
        adapter = {f"{n}.{key}": value for n, pairs in networks.items() for key, value in adapter_config(pairs).items()}
        notes[METADATA_KEY] = json.dumps(adapter, sort_keys=True)
        write_bytes(path, _safetensors(tensors, notes))


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


def _same_scaling(pairs: Mapping[str, LoraPair]) -> Mapping[str, LoraPair]:
    """PEFT knows one kind of scaling for all layers of a network."""
    if len({pair.rslora for pair in pairs.values()}) < 2:
        return pairs
    return {name: pair.plain() for name, pair in pairs.items()}


def _tensors(
    networks: Mapping[str, Mapping[str, LoraPair]], spelling: str, dtype: str, path: Path
) -> dict[str, np.ndarray]:
    """Name -> tensor; `spelling` is A's, from which B's is made."""
    up = spelling.replace("lora_A", "lora_B").replace("down", "up")
    tensors = {}
    for network, pairs in networks.items():
        for layer, pair in pairs.items():
            words = {"network": network, "layer": layer, "kohya": kohya_name(network, layer)}
            for name, array in ((spelling, pair.a), (up, pair.b)):
                with np.errstate(over="ignore"):
                    tensors[name.format(**words)] = array = np.ascontiguousarray(array, DTYPES[dtype])
                if not np.isfinite(array).all():
                    raise UserError(
                        f"{path}: {network}.{layer} holds numbers that are not finite in {dtype}; take fp32"
                    )
    return tensors


def _transformers_name(layer: str) -> str:
    """PEFT wants the names of the network in memory, and transformers 5 leaves out the text model's prefix."""
    with needs("train"):
        major = int(version("transformers").split(".")[0])
    return layer[len("text_model.") :] if major >= 5 and layer.startswith("text_model.") else layer


def _torch_zip(tensors: Mapping[str, np.ndarray]) -> bytes:
    with needs("train"):
        import torch
    stream = io.BytesIO()
    torch.save({name: torch.from_numpy(array.copy()) for name, array in tensors.items()}, stream)
    return stream.getvalue()


def _safetensors(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """The bytes of a file with its header's keys in order: the library writes metadata in a random one."""
    with needs("train"):
        from safetensors.numpy import save
    data = save(dict(tensors), metadata=dict(metadata))
    length = int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8 : 8 + length]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # the format aligns the numbers that follow
    return len(header).to_bytes(8, "little") + header + data[8 + length :]


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
