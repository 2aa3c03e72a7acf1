"""LoRA files in, whatever their format. Nothing in them is executed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

from contest.disk.files import parse_json, read_json
from contest.disk.tensor_files import read_header
from contest.errors import UserError
from jdart.lora.formats.assembly import assemble
from jdart.lora.formats.file import FILE_NAME, METADATA_KEY, PEFT_CONFIG, PEFT_WEIGHTS, LoraFile
from jdart.lora.formats.names import NETWORKS
from jdart.lora.formats.peft_options import require_plain
from jdart.lora.pairs import LoraPair


def load_lora(path: Path, alpha: Optional[float] = None) -> LoraFile:
    """Read a LoRA of any of FORMATS: a .safetensors or .bin file, or a folder of PEFT. Nothing in it is executed.

    `alpha` is for a file that does not say its own. Raises UserError for a missing or unreadable file, a file that is
    another thing than a LoRA (plain or rank-stabilised) or DoRA of Stable Diffusion 1 or 2, one half of a pair alone, a
    layer twice, shapes that do not belong together, numbers that are not finite.
    """
    if path.is_dir():
        return _load_folder(path, alpha)
    if not path.is_file():
        raise UserError(f"{path}: no such file; name a LoRA file (.safetensors or .bin), or a folder that PEFT wrote")
    config = path.parent / PEFT_CONFIG
    if path.name in PEFT_WEIGHTS and config.is_file():  # without it, alpha and more would be guessed
        return _load(path, config, alpha)
    return _load(path, None, alpha)


def load_notes(path: Path) -> dict[str, Any]:
    """What jdart noted in a LoRA file of its own, without reading its tensors; nothing of any other file."""
    readable = path.suffix == ".safetensors" and path.is_file()
    return _notes(read_header(path).metadata, "jdart", path) if readable else {}


def _load_folder(folder: Path, alpha: Optional[float]) -> LoraFile:
    """A folder with adapter_config.json, or with one for each network in unet/ and text_encoder/."""
    configs = [part / PEFT_CONFIG for part in (folder, *(folder / network for network in NETWORKS))]
    loras = [_load(_weights(config.parent), config, alpha) for config in configs if config.is_file()]
    if not loras:
        raise UserError(f"{folder}: no {PEFT_CONFIG} in it; {_instead(folder)}")
    pairs: dict[str, Mapping[str, LoraPair]] = {network: {} for network in NETWORKS}
    for lora in loras:
        for network, found in lora.pairs.items():
            twice = sorted(set(pairs[network]) & set(found))
            if twice:
                raise UserError(f"{folder}: {network}.{twice[0]} is there twice, in two folders; name one")
            pairs[network] = {**pairs[network], **found}
    settings = {key: value for lora in loras for key, value in lora.settings.items()}
    types = tuple(sorted({type for lora in loras for type in lora.types}))
    return LoraFile(pairs, settings, "peft", all(lora.alpha_known for lora in loras), types)


def _weights(folder: Path) -> Path:
    path = next((folder / name for name in PEFT_WEIGHTS if (folder / name).is_file()), None)
    if path is None:
        raise UserError(f"{folder}: no {' or '.join(PEFT_WEIGHTS)} in it; copy it there too")
    return path


def _load(path: Path, config: Optional[Path], alpha: Optional[float]) -> LoraFile:
    """One file of tensors with the settings beside it (PEFT) and those in it (diffusers), which both must be plain."""
    beside = {} if config is None else read_json(config)
    if not isinstance(beside, dict):
        raise UserError(f"{config}: no JSON object; save the adapter again")
    metadata = read_header(path).metadata if path.suffix == ".safetensors" else {}
    inside = _notes(metadata, METADATA_KEY, path)
    adapters = {n: {k[len(n) + 1 :]: v for k, v in inside.items() if k.startswith(f"{n}.")} for n in NETWORKS}
    for place, adapter in ((config, beside), *((path, adapter) for adapter in adapters.values())):
        try:
            require_plain(adapter)
        except UserError as error:
            raise UserError(f"{place}: {error}") from None
    lora = assemble(path, adapters if config is None else dict.fromkeys(NETWORKS, beside), alpha)
    format = "bin" if lora.format == "diffusers" and path.suffix != ".safetensors" else lora.format
    return replace(lora, settings=_notes(metadata, "jdart", path), format=format)


def _instead(folder: Path) -> str:
    """What a folder holds that could have been meant."""
    if (folder / FILE_NAME).is_file():
        return f"name the file in it, {folder / FILE_NAME}"
    below = sorted(config.parent for config in folder.glob(f"*/{PEFT_CONFIG}"))  # one for each adapter's name
    return f"name {below[0]}, where one is" if below else "name a LoRA file, or a folder that PEFT wrote"


def _notes(metadata: Mapping[str, str], key: str, path: Path) -> dict[str, Any]:
    """What a writer noted under `key` as a JSON object."""
    try:
        notes = parse_json(metadata.get(key, "{}"))
    except ValueError:
        notes = None
    if not isinstance(notes, dict):
        raise UserError(f"{path}: its metadata {key} is no JSON object; fetch the file again, or train it again")
    return notes
