"""How far the LoRAs of a run folder are trained; where one goes, with its pictures, when another takes its place."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from contest.disk.files import sha256, write_bytes
from jdart.config import Config
from jdart.config.overrides import settings_of
from jdart.data.seeds import image_seed
from jdart.generation.notes import noted_files, noted_settings, read_notes
from jdart.lora.formats.reading import load_notes
from jdart.runs.folder import RunFolder
from jdart.runs.story import says_otherwise
from jdart.training.checkpoint import steps_of
from jdart.training.lr import OPEN_ENDED

STOPPED_EARLY = "stopped_early"  # in a LoRA's notes: validation ended its training, so that more steps change nothing


def is_trained(folder: RunFolder, config: Config, name: str) -> bool:
    """Whether a LoRA is there, and nothing is left to train of it."""
    return folder.lora(name).exists() and not goes_on(folder, config, name)


def goes_on(folder: RunFolder, config: Config, name: str) -> bool:
    """Whether a LoRA is there and is to be trained further: `train.steps` was raised.

    One that was not trained in this folder was put there to be drawn with, whatever `train` says.
    """
    notes = _own_notes(folder, name)
    ended = not notes or notes.get(STOPPED_EARLY, False) or config.train.lr_scheduler not in OPEN_ENDED
    return not ended and _steps(notes) < config.train.steps


def furthest(folder: RunFolder) -> tuple[str, int]:
    """What of the folder is trained furthest: the name of its LoRA, and the number of steps."""
    made = {"": 0}
    for place in sorted(path for path in folder.root.glob("lora/*") if path.is_dir()):
        checkpoint = steps_of(folder.checkpoint(place.name))
        made[place.name] = max(_steps(_own_notes(folder, place.name)), checkpoint)
    return max(made.items(), key=lambda item: item[1])


def set_aside(folder: RunFolder, name: str, styles: Sequence[str]) -> tuple[Path, int] | None:
    """Copy a LoRA that is about to be replaced to `earlier/`, with its token, and move there what was drawn with it.

    Returns where, and how many pictures; None where there is no LoRA. Stopped and done again it comes to the same.
    """
    lora = folder.lora(name)
    if not lora.exists():
        return None
    digest = sha256(lora)
    place = folder.earlier(f"{_steps(load_notes(lora))}-steps")
    if place.lora(name).exists() and sha256(place.lora(name)) != digest:
        place = folder.earlier(digest[:8])
    for path in (folder.token(name), folder.ip_adapter(name), lora):
        if path.exists():
            write_bytes(place.root / path.relative_to(folder.root), path.read_bytes())
    moved = 0
    for style in styles:
        noted = {path: noted_files(path) for path in folder.pictures(style)}
        moved += _move(folder, style, [path for path, files in noted.items() if files and digest in files], place)
    return place.root, moved


def stale_pictures(folder: RunFolder, config: Config, style: str, prompts: Sequence[str]) -> list[Path]:
    """Pictures that say that they were drawn with another LoRA, token or IP-Adapter than is there now.

    Of a story, also those that were drawn for another part of it, or in another way, or for one that it has no more.
    """
    known: dict[Path, str] = {}

    def digest(path: Path) -> str:
        if path not in known:
            known[path] = sha256(path)
        return known[path]

    own = [folder.lora(style)] if config.learns(style) else []
    own += [] if config.token is None else [folder.token(style)]
    stale = []
    for prompt in prompts:
        settings, seed = settings_of(config.generate, config.seed, config.overrides, style, prompt)
        files = [*own, *(Path(lora.path) for lora in settings.loras)]
        files += [] if settings.style_blend is None else [folder.composition.lora(style)]
        if settings.ip_adapter is not None:
            given = settings.ip_adapter.weights
            files.append(folder.ip_adapter(style) if given is None else Path(given))
        for number in range(config.generate.num_images_per_prompt):
            path = folder.candidate(style, prompt, number)
            noted = noted_files(path) if path.exists() and all(file.is_file() for file in files) else None
            if noted is None:
                continue
            other = sorted(noted) != sorted(map(digest, files))
            if folder.story and not other:
                text = config.data.template.format(object=prompt, id=style)
                drawn = image_seed(style, prompt, seed, number)
                other = says_otherwise(read_notes(path), {**noted_settings(settings), "prompt": text, "seed": drawn})
            if other:
                stale.append(path)
    if folder.story:
        parts = {folder.image(style, prompt) for prompt in prompts}
        others = sorted(path for path in folder.images.glob("*.png") if path not in parts)
        stale += [path for path in others if noted_files(path) is not None]
    return stale


def set_stale_aside(folder: RunFolder, style: str, stale: Sequence[Path]) -> Path:
    """Move `stale_pictures` to `earlier/`; returns where."""
    noted = noted_files(stale[0])
    place = folder.earlier(noted[0][:8] if noted else "plain")
    _move(folder, style, stale, place)
    return place.root


def set_pictures_aside(folder: RunFolder, style: str, pictures: Sequence[Path], name: str) -> None:
    """Move pictures that others take the place of to `earlier/NAME`, with the style's sheets."""
    _move(folder, style, pictures, folder.earlier(name))


def _move(folder: RunFolder, style: str, pictures: Sequence[Path], place: RunFolder) -> int:
    """Move pictures with their contents and the style's sheets; what is of the same name there already is kept too."""
    sheets = [folder.sheet(style), folder.candidates_sheet(style)] if pictures else []
    for path in (*pictures, *map(folder.content, pictures), *sheets):
        if path.exists():
            target = place.root / path.relative_to(folder.root)
            target.parent.mkdir(parents=True, exist_ok=True)
            number = 1
            while target.exists():
                number += 1
                target = target.with_name(f"{path.stem} ({number}){path.suffix}")
            os.rename(path, target)
    return len(pictures)


def _own_notes(folder: RunFolder, name: str) -> Mapping[str, Any]:
    """The notes of a LoRA that was trained in this folder, where its losses lie beside it; else nothing."""
    lora = folder.lora(name)
    return load_notes(lora) if lora.exists() and folder.losses(name).exists() else {}


def _steps(notes: Mapping[str, Any]) -> int:
    steps = notes.get("steps")
    return steps if isinstance(steps, int) else 0
