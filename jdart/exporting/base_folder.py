"""A base model as a folder that diffusers' Stable Diffusion pipeline opens: linked, or copied."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from contest.disk.files import write_json
from jdart.exporting.clip_skip import write_text_encoder
from jdart.models.build import TEXT_STEMS, UNET_STEMS, VAE_STEMS, Base
from jdart.models.weights import choose_weights, weight_files

STEMS = {"unet": UNET_STEMS, "vae": VAE_STEMS, "text_encoder": TEXT_STEMS}
CLASSES = {
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
    "safety_checker": [None, None],
    "feature_extractor": [None, None],
}


def write_base_folder(base: Base, scheduler: Mapping[str, Any], out: Path, copy: bool) -> None:
    """`base` with another scheduler_config.json at `out`; its files are links unless `copy`.

    With `base.clip_skip` the text encoder is written anew, without the layers that are not read.
    """
    for source, place in _files(base):
        target = out / place
        target.parent.mkdir(parents=True, exist_ok=True)
        if copy:
            shutil.copyfile(source, target)
        else:
            os.symlink(source.resolve(), target)
    if base.config.clip_skip > 0:
        write_text_encoder(base, out / "text_encoder")
    write_json(out / "scheduler" / "scheduler_config.json", dict(scheduler))
    index = {
        "_class_name": "StableDiffusionPipeline",
        **CLASSES,
        "scheduler": ["diffusers", scheduler["_class_name"]],
        "requires_safety_checker": False,
    }
    write_json(out / "model_index.json", index)  # last: with it the folder is whole


def _files(base: Base) -> Iterator[tuple[Path, str]]:
    """The files that jdart reads, and their places. Half precision gets the name that diffusers looks for unasked."""
    for part, stems in STEMS.items():
        if part == "text_encoder" and base.config.clip_skip > 0:
            continue
        folder = base.part(part)
        yield folder / "config.json", f"{part}/config.json"
        chosen = choose_weights({path.name for path in folder.iterdir()}, stems)
        if chosen is not None and chosen.endswith(".json"):
            yield folder / chosen, f"{part}/{chosen.replace('.fp16', '')}"
            yield from ((path, f"{part}/{path.name}") for path in weight_files(folder, stems))  # as the index has them
        else:
            yield from ((path, f"{part}/{path.name.replace('.fp16', '')}") for path in weight_files(folder, stems))
    for path in sorted((base.folder / "tokenizer").iterdir()):
        if path.is_file():
            yield path, f"tokenizer/{path.name}"
