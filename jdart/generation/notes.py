"""What a PNG says about how it was drawn: enough to draw it again."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from contest.disk.files import parse_json, sha256
from contest.entry.notes import POST_PROCESSING
from contest.entry.pixels import unreadable
from contest.entry.signatures import HEAD, LFS_CURE, identify
from contest.errors import UserError
from jdart.config import EngineConfig, GenerateConfig, said
from jdart.config.reading import read_as

if TYPE_CHECKING:
    from PIL.PngImagePlugin import PngInfo

KEY = "jdart"  # the text chunk that is read back
DRAFT = "draft"  # what the notes of a draft have besides: in how many calls its deep layers were calculated once
COMMON_KEY = "parameters"  # the one that AUTOMATIC1111's web UI made common, for other programs
NOT_NOTED = ("batch_size", "num_images_per_prompt", "lora_weight", "loras")  # the files' hashes say more
SAMPLER_NAMES = {"ddim": "DDIM", "pndm": "PLMS", "dpmpp_2m": "DPM++ 2M", "unipc": "UniPC", "euler": "Euler"}


def picture_notes(request: Any, settings: GenerateConfig, **facts: Any) -> dict[str, Any]:
    """What decides a picture: the settings, its `Request`, and `facts` of the place where it is drawn.

    The facts are `base` (and `base_settings`, where it is read otherwise than its files say), `style`, `size`, `loras`
    (file, sha256, weight), `token` (sha256), `average` and `reference` (hashes of pixels) and `batch` (place, size).
    """
    noted = noted_settings(settings)
    wording = {"prompt": request.prompt, "plain_prompt": request.plain, "seed": request.seed}
    if request.composition is not None:
        wording["composition_prompt"] = request.composition
    return {**noted, **wording, "jdart": importlib.metadata.version("jdart"), **facts}


def noted_settings(settings: GenerateConfig) -> dict[str, Any]:
    """The settings of drawing as a picture's notes have them."""
    if settings.ip_adapter is not None:
        settings = replace(settings, ip_adapter=settings.ip_adapter.named)
    return {name: value for name, value in said(settings).items() if name not in NOT_NOTED}


def settings_from(notes: Mapping[str, Any], batch_size: int) -> GenerateConfig:
    """The settings that `picture_notes` noted. UserError when they are none of this version."""
    settings = [f for f in fields(GenerateConfig) if f.name not in NOT_NOTED]
    names = [f.name for f in settings if f.name in notes]
    missing = [f.name for f in settings if f.name not in notes and "later" not in f.metadata]
    if missing:
        raise UserError(f"its notes lack {', '.join(missing)}: it was drawn by another version of jdart")
    return read_as(GenerateConfig, {**{n: notes[n] for n in names}, "batch_size": batch_size}, "its notes")


def png_info(notes: Mapping[str, Any]) -> PngInfo:
    """The two text chunks of a picture."""
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text(KEY, json.dumps(notes, sort_keys=True))
    info.add_text(COMMON_KEY, common_text(notes))
    return info


def common_text(notes: Mapping[str, Any]) -> str:
    """The notes as other programs show them: the prompt, a line with the negative one, a line of settings."""
    settings: dict[str, Any] = {
        "Steps": notes["steps"],
        "Sampler": SAMPLER_NAMES[notes["sampler"]],
        "CFG scale": f"{notes['guidance_scale']:g}",
        "Seed": notes["seed"],
        "Size": f"{notes['size']}x{notes['size']}",
        "Model hash": notes["base"][:10],
    }
    clip_skip = notes.get("base_settings", {}).get("clip_skip", 0)
    if clip_skip > 0:
        settings["Clip skip"] = clip_skip + 1  # counted from 1 there
    if notes["strength"] is not None:
        settings["Denoising strength"] = f"{notes['strength']:g}"
    if notes["guidance_rescale"] > 0:
        settings["CFG Rescale"] = f"{notes['guidance_rescale']:g}"
    if notes["loras"]:
        hashes = ", ".join(f"{Path(lora['file']).stem}: {lora['sha256'][:12]}" for lora in notes["loras"])
        settings["Lora hashes"] = f'"{hashes}"'
    if notes.get("colour") is not None and notes["colour"].get("finish") is not None:
        settings[POST_PROCESSING] = f"colour finish {notes['colour']['finish']['strength']:g}"
    settings["Version"] = f"jdart {notes['jdart']}"
    lines = [notes["prompt"]]
    if notes["negative_prompt"]:
        lines.append(f"Negative prompt: {notes['negative_prompt']}")
    return "\n".join([*lines, ", ".join(f"{key}: {value}" for key, value in settings.items())])


def read_notes(path: Path) -> dict[str, Any]:
    """The notes of a picture. UserError when it is none of jdart's."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.load()
            text = getattr(image, "text", {}).get(KEY)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; name a picture that jdart drew") from error
    except Image.UnidentifiedImageError as error:
        with open(path, "rb") as stream:
            what, cure = identify(stream.read(HEAD))
        cure = cure if cure == LFS_CURE else "name one that jdart drew"
        raise UserError(f"{path}: not a readable picture but {what}; {cure}") from error
    except unreadable() as error:
        raise UserError(f"{path}: not a readable picture ({error}); name one that jdart drew") from error
    try:
        notes = parse_json("" if text is None else text)
    except ValueError:
        notes = None
    if not isinstance(notes, dict):
        raise UserError(f"{path}: says nothing about how it was drawn; name a PNG as jdart wrote it")
    return notes


def noted_files(path: Path) -> tuple[str, ...] | None:
    """SHA-256 of the files that a picture says it was drawn with, or None if it says nothing.

    They are those of its LoRAs, token, composition and IP-Adapter.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:  # the text stands before the pixels, which need not be read
            notes = parse_json(image.info[KEY])
        images = notes.get("image_prompt", {}).get("weights")
        others = [digest for digest in (notes["token"], notes.get("composition"), images) if digest]
        return (*(lora["sha256"] for lora in notes["loras"]), *others)
    except unreadable():
        return None


def lora_note(path: Path, weight: float) -> dict[str, Any]:
    """How a LoRA is noted: its file's name, hash and weight."""
    return {"file": path.name, "sha256": sha256(path), "weight": weight}


def engine_note(engine: EngineConfig) -> dict[str, Any]:
    """How another engine is noted: all but where its interpreter is."""
    return {name: value for name, value in said(engine).items() if name != "python"}


def pixels_hash(picture: np.ndarray | None) -> str | None:
    """SHA-256 over the pixels of a picture (H, W, 3) uint8, or None for none."""
    return None if picture is None else hashlib.sha256(picture.tobytes()).hexdigest()
