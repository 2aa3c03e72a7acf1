"""The number types of everything a run computes with: the base's files, and every layer that is added to it.

jdart computes in float32 throughout, whatever a file has or a base is kept in: half a network in float16 beside an
added layer in float32 is what other trainers stop at. What is said here is read from the files' headers.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from contest.disk.shipped import means_toy
from contest.disk.tensor_files import read_header, require_readable
from contest.errors import UserError
from jdart.config import Config
from jdart.doctor import Finding
from jdart.models.build import TEXT_STEMS, UNET_STEMS, VAE_STEMS, Base
from jdart.models.hub.locate import open_base
from jdart.models.weights import weight_files

PARTS = {"unet": UNET_STEMS, "vae": VAE_STEMS, "text_encoder": TEXT_STEMS}


def precision_of(config: Config) -> list[Finding]:
    """One finding for the base and one for what is added; fails name the file. No tensor is read, nothing fetched."""
    return [_base(config), _added(config)]


def local_base(config: Config) -> Base | None:
    """The base where it is on this machine, of a single file the folder that is made of it; None where it is fetched.

    UserError: broken.
    """
    names = [name for name in (config.base.model, config.base.vae) if name is not None]
    local = all(means_toy(name) or os.path.exists(os.path.expanduser(name)) for name in names)
    return open_base(config.base, config.memory)[0] if local else None


def weight_bytes(base: Base) -> int:
    """Bytes of a base's weights as they are kept; 0 for the parts that are no safetensors."""
    return np.dtype(base.memory.storage_dtype).itemsize * sum(
        math.prod(stored.shape)
        for part, stems in PARTS.items()
        for path in weight_files(base.part(part), stems)
        if path.suffix == ".safetensors"
        for stored in read_header(path).tensors.values()
    )


def _base(config: Config) -> Finding:
    name = "precision of the base"
    try:
        base = local_base(config)
        if base is None:
            return Finding(name, "ok", f"float32, whatever the files of {config.base.model} have")
        found = [f"{part} {_types(weight_files(base.part(part), stems))}" for part, stems in PARTS.items()]
    except UserError as error:
        return refused(name, error)
    kept = "" if config.memory.storage_dtype == "float32" else f", kept in {config.memory.storage_dtype}"
    return Finding(name, "ok", f"float32{kept}; in the files {', '.join(found)}")


def _added(config: Config) -> Finding:
    name = "precision of what is added"
    try:
        files = [f"{path} {_types([path])}" for path in _added_files(config) if path.is_file()]
    except UserError as error:
        return refused(name, error)
    read = f"; in the files {', '.join(files)}" if files else ""
    return Finding(name, "ok", f"float32: {', '.join(_layers(config))}{read}")


def _layers(config: Config) -> Iterator[str]:
    """Every kind of layer that a run adds to its base."""
    yield f"the UNet's LoRA, rank {config.lora.r}"
    if config.text_encoder_lora.r > 0:
        yield f"the text encoder's LoRA, rank {config.text_encoder_lora.r}"
    if config.token is not None:
        yield f"the token {config.token.placeholder}"
    if config.train.composition is not None:
        yield f"the composition's LoRA, rank {config.train.composition.r}"
    if config.generate.loras:
        yield f"{len(config.generate.loras)} LoRAs of other files"
    if config.generate.ip_adapter is not None:
        yield "the IP-Adapter" if config.train.ip_adapter is None else "the IP-Adapter that is learnt"


def _added_files(config: Config) -> Iterator[Path]:
    if config.lora.init_from is not None:
        yield Path(config.lora.init_from)
    yield from (Path(lora.path) for lora in config.generate.loras)
    if config.generate.ip_adapter is not None and config.generate.ip_adapter.weights is not None:
        yield Path(config.generate.ip_adapter.weights)


def _types(files: list[Path]) -> str:
    """The number types of files, as safetensors names them. UserError for one that is not read."""
    types: set[str] = set()
    for path in files:
        if path.suffix != ".safetensors":
            types.add("of a .bin")
            continue
        own = read_header(path).types
        require_readable(path, own)
        types.update(own.values())
    return " and ".join(sorted(types))


def refused(name: str, error: UserError) -> Finding:
    """What an error says as a finding: its cure is what stands behind the first semicolon."""
    found, mark, cure = str(error).partition("; ")
    if not mark:
        return Finding(name, "fail", found, "mend that, or name another in the configuration")
    return Finding(name, "fail", found, cure)
