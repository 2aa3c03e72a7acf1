"""LoRA files out, in one of four formats."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np

from jdart.lora.adapter import adapter_config
from jdart.lora.file import METADATA_KEY, PEFT_CONFIG, PEFT_WEIGHTS, LoraFile
from jdart.lora.names import PEFT_PREFIX, kohya_name
from jdart.lora.pairs import LoraPair
from submission.errors import UserError, needs
from submission.files import write_bytes, write_json

DTYPES = {"fp32": np.float32, "fp16": np.float16}
BIN_LEAVES = {"unet": "lora", "text_encoder": "lora_linear_layer"}


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
