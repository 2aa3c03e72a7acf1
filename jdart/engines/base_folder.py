"""A base model as JDiffusion reads it: weights as .bin, under diffusers' names, float32. Made once and kept."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from contest.disk.drafts import whole_folder
from contest.disk.files import write_json
from contest.errors import needs
from jdart.config import EngineConfig
from jdart.engines.process import cache_of
from jdart.exporting.base_folder import CLASSES, STEMS
from jdart.models.build import Base
from jdart.models.tensors import read_tensors
from jdart.models.weights import text_name, vae_name, weight_files

NAMES = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model", "text_encoder": "pytorch_model"}
RENAMED: dict[str, Callable[[str], str | None]] = {"vae": vae_name, "text_encoder": text_name}


def bin_folder(base: Base, engine: EngineConfig) -> Path:
    """The folder of `base` for the engine, written where it is not there yet.

    UserError for weights that cannot be read, and for a user without a home.
    """
    scheduler = hashlib.sha256(json.dumps(base.scheduler_config, sort_keys=True).encode()).hexdigest()
    out = cache_of(engine) / "bases" / f"{base.identity[:16]}-{scheduler[:8]}"
    if out.is_dir():
        return out
    try:
        with whole_folder(out) as draft:
            _write(base, draft)
    except OSError:
        if not out.is_dir():  # where it is, another process was quicker
            raise
    return out


def _write(base: Base, out: Path) -> None:
    with needs("train"):
        import torch

    for part, stems in STEMS.items():
        (out / part).mkdir()
        shutil.copyfile(base.part(part) / "config.json", out / part / "config.json")
        tensors = _renamed(part, weight_files(base.part(part), stems))
        state = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in tensors}
        torch.save(state, out / part / f"{NAMES[part]}.bin")
    shutil.copytree(base.folder / "tokenizer", out / "tokenizer")
    write_json(out / "scheduler" / "scheduler_config.json", base.scheduler_config)
    scheduler = ["diffusers", "PNDMScheduler"]
    write_json(out / "model_index.json", {"_class_name": "StableDiffusionPipeline", **CLASSES, "scheduler": scheduler})


def _renamed(part: str, paths: list[Path]) -> Iterator[tuple[str, np.ndarray]]:
    """Tensors under today's names; attention matrices that an old VAE keeps as 1x1 convolutions are matrices again."""
    rename = RENAMED.get(part, lambda name: name)
    for name, array in read_tensors(paths):
        target = rename(name)
        if target is not None:
            old = part == "vae" and ".attentions." in target and array.ndim == 4
            yield target, array[:, :, 0, 0] if old else array
