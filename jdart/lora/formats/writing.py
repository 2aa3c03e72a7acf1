"""LoRA files out, in one of four formats."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np

from contest.disk.drafts import draft_folder
from contest.disk.files import write_bytes, write_json
from contest.errors import UserError, needs
from jdart.lora.dora import INPUTS, per_output
from jdart.lora.formats.adapter import adapter_config
from jdart.lora.formats.file import METADATA_KEY, PEFT_CONFIG, PEFT_WEIGHTS, LoraFile
from jdart.lora.formats.kohya import TEXT_ATTENTION, for_kohya
from jdart.lora.formats.names import PEFT_PREFIX, kohya_name
from jdart.lora.pairs import LoraPair
from jdart.models.tensors import to_safetensors

DTYPES = {"fp32": np.float32, "fp16": np.float16}
BIN_SPELLINGS = {
    "unet": "{network}.{layer}.lora.down.weight",
    "text_encoder": "{network}.{layer}.lora_linear_layer.down.weight",
}

MAGNITUDE = re.compile(r"\.(lora_A|lora\.down|lora_linear_layer\.down|lora_down)\.weight$")
INSTEAD = "write it as kohya, or merge it into its base (jdart lora merge --into)"


def save_lora(path: Path, lora: LoraFile, format: str = "diffusers", dtype: str = "fp32") -> None:
    """Write `lora` atomically in one of FORMATS, its numbers in one of DTYPES; `path` is a folder for "peft".

    `lora.settings` goes into the safetensors metadata under "jdart". UserError for numbers too large for `dtype`.
    """
    notes = {"format": "pt", "jdart": json.dumps(dict(lora.settings), sort_keys=True)}
    networks = {network: _same_scaling(pairs) for network, pairs in lora.pairs.items() if pairs}
    if format == "peft":
        for network, pairs in networks.items():
            _require_pefts(path, network, pairs)
    if format == "peft" and (path.exists() or not networks):
        _write_peft(path, path, networks, notes, dtype)
    elif format == "peft":
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft_folder(path) as work:  # a folder that is there is whole
            _write_peft(work / path.name, path, networks, notes, dtype)
            (work / path.name).rename(path)
    elif format == "kohya":
        even = for_kohya(networks)
        tensors = _tensors(even, dict.fromkeys(even, "{kohya}.lora_down.weight"), dtype, path)
        for network, pairs in even.items():
            for layer, pair in pairs.items():
                tensors[f"{kohya_name(network, layer)}.alpha"] = np.array(pair.alpha, np.float32)
        write_bytes(path, to_safetensors(tensors, notes))
    elif format == "bin":
        _require_no_dora(path, networks)
        unscaled = {network: {n: p.unscaled() for n, p in pairs.items()} for network, pairs in networks.items()}
        write_bytes(path, _torch_zip(_tensors(unscaled, BIN_SPELLINGS, dtype, path)))
    else:
        for network, pairs in networks.items():
            _require_pefts(path, network, pairs)
        spellings = {network: _diffusers_spelling(network, pairs) for network, pairs in networks.items()}
        adapter = {f"{n}.{key}": value for n, pairs in networks.items() for key, value in adapter_config(pairs).items()}
        notes[METADATA_KEY] = json.dumps(adapter, sort_keys=True)
        write_bytes(path, to_safetensors(_tensors(networks, spellings, dtype, path), notes))


def _write_peft(
    folder: Path, named: Path, networks: Mapping[str, Mapping[str, LoraPair]], notes: Mapping[str, str], dtype: str
) -> None:
    """An adapter a network; `named` is what the folder is called in a refusal."""
    for network, pairs in networks.items():
        renamed = {_transformers_name(layer): pair for layer, pair in pairs.items()}
        tensors = _tensors({network: renamed}, {network: PEFT_PREFIX + "{layer}.lora_A.weight"}, dtype, named)
        config = {"peft_type": "LORA", **adapter_config(pairs), "bias": "none", "inference_mode": True}
        write_bytes(folder / network / PEFT_WEIGHTS[0], to_safetensors(tensors, notes))
        write_json(folder / network / PEFT_CONFIG, config)


def _diffusers_spelling(network: str, pairs: Mapping[str, LoraPair]) -> str:
    """PEFT's names; older ones for a text encoder without attention, which diffusers (0.42) knows PEFT's names by."""
    old = network == "text_encoder" and not any(layer.endswith(TEXT_ATTENTION) for layer in pairs)
    return BIN_SPELLINGS[network] if old else "{network}.{layer}.lora_A.weight"


def _same_scaling(pairs: Mapping[str, LoraPair]) -> Mapping[str, LoraPair]:
    """PEFT knows one kind of scaling for all layers of a network."""
    if len({pair.rslora for pair in pairs.values()}) < 2:
        return pairs
    return {name: pair.plain() for name, pair in pairs.items()}


def _tensors(
    networks: Mapping[str, Mapping[str, LoraPair]], spellings: Mapping[str, str], dtype: str, path: Path
) -> dict[str, np.ndarray]:
    """Name -> tensor; a network's spelling is A's, from which those of B and of a DoRA's magnitude are made."""
    tensors = {}
    for network, pairs in networks.items():
        down = spellings[network]
        up = down.replace("lora_A", "lora_B").replace("down", "up")
        long = MAGNITUDE.sub(_leaf_of_magnitudes(network, down), down)
        for layer, pair in pairs.items():
            words = {"network": network, "layer": layer, "kohya": kohya_name(network, layer)}
            parts = [(down, pair.a), (up, pair.b)]
            if pair.magnitude is not None:
                parts.append((long, pair.magnitude if "{kohya}" in down else _as_peft(pair.magnitude)))
            for name, array in parts:
                with np.errstate(over="ignore"):
                    tensors[name.format(**words)] = array = np.ascontiguousarray(array, DTYPES[dtype])
                if not np.isfinite(array).all():
                    cure = "take fp32" if dtype != "fp32" else "take the diffusers format, which keeps alpha apart"
                    raise UserError(f"{path}: {network}.{layer} holds numbers that are not finite in {dtype}; {cure}")
    return tensors


def _leaf_of_magnitudes(network: str, down: str) -> str:
    """The end of a magnitude's name beside A's spelling `down`.

    diffusers leaves a text encoder to transformers, of which 5 looks for a weight; 4 and PEFT take it either way.
    """
    if "{kohya}" in down:
        return ".dora_scale"
    weight = network == "text_encoder" and PEFT_PREFIX not in down
    return ".lora_magnitude_vector" + (".weight" if weight else "")


def _as_peft(magnitude: np.ndarray) -> np.ndarray:
    """(out, 1) -> (out,), and of a convolution (out, 1, 1, 1) -> (1, out, 1, 1)."""
    return magnitude.reshape(-1) if magnitude.ndim == 2 else magnitude.swapaxes(0, 1)


def _require_pefts(path: Path, network: str, pairs: Mapping[str, LoraPair]) -> None:
    """PEFT has one use_dora for all layers of a network, and a magnitude for each output."""
    doras = [layer for layer, pair in pairs.items() if pair.magnitude is not None]
    for layer in doras:
        if pairs[layer].magnitude.shape != per_output(pairs[layer].b):  # type: ignore[union-attr]
            raise UserError(f"{path}: {network}.{layer} is DoRA {INPUTS}; {INSTEAD}")
    if 0 < len(doras) < len(pairs):
        plain = next(layer for layer in pairs if layer not in doras)
        raise UserError(
            f"{path}: {network}.{doras[0]} is DoRA, {plain} is not, and PEFT has one kind a network; {INSTEAD}"
        )


def _require_no_dora(path: Path, networks: Mapping[str, Mapping[str, LoraPair]]) -> None:
    for network, pairs in networks.items():
        for layer, pair in pairs.items():
            if pair.magnitude is not None:
                raise UserError(f"{path}: {network}.{layer} is DoRA, and bin has no place for its magnitude; {INSTEAD}")


def transformers_major() -> int:
    """The major version of the transformers that is installed, whose names a PEFT folder of a text encoder takes."""
    with needs("train"):
        return int(version("transformers").split(".")[0])


def _transformers_name(layer: str) -> str:
    """PEFT wants the names of the network in memory, and transformers 5 leaves out the text model's prefix."""
    prefixed = layer.startswith("text_model.")
    return layer[len("text_model.") :] if prefixed and transformers_major() >= 5 else layer


def _torch_zip(tensors: Mapping[str, np.ndarray]) -> bytes:
    with needs("train"):
        import torch
    stream = io.BytesIO()
    torch.save({name: torch.from_numpy(array.copy()) for name, array in tensors.items()}, stream)
    return stream.getvalue()
