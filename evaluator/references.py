"""The references of a contest: <references>/<style>/images/*.png and <references>/<style>/prompt.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from evaluator.entry import Source, is_text, reader
from submission.errors import UserError
from submission.files import read_json


@dataclass(frozen=True)
class StyleReferences:
    """One style: its pictures' names and readers, and the objects to draw in the file's order."""

    images: Mapping[str, Source]
    prompts: tuple[str, ...]


def list_styles(folder: Path) -> tuple[str, ...]:
    """The styles of a references folder, sorted. Raises UserError where there are none."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such references folder")
    styles = sorted(
        item.name for item in folder.iterdir() if (item / "images").is_dir() or (item / "prompt.json").is_file()
    )
    if not styles:
        raise UserError(f"{folder}: no styles in it; references are <style>/images/*.png and <style>/prompt.json")
    return tuple(styles)


def read_style(folder: Path) -> StyleReferences:
    """The references of one style. Raises UserError for anything that is not as the layout says."""
    prompts = _read_prompts(folder / "prompt.json")
    images = folder / "images"
    if not images.is_dir():
        raise UserError(f"{images}: no such folder; it must hold the style's reference pictures")
    names = sorted(item.name for item in images.iterdir() if not item.name.startswith("."))
    found = {name: reader(images / name) for name in names if name.endswith(".png")}
    usable = {name: read for name, read in found.items() if read is not None}
    strays = [name for name in names if name not in usable]
    if strays:
        raise UserError(f"{images}: only PNG files belong here, not {', '.join(strays)}")
    if not usable:
        raise UserError(f"{images}: no PNG files in it")
    return StyleReferences(usable, prompts)


def _read_prompts(path: Path) -> tuple[str, ...]:
    data = read_json(path)
    if not isinstance(data, dict) or not data:
        raise UserError(f'{path}: must be an object such as {{"0": "Dolphin", "1": "Ice cream"}}')
    bad = [repr(prompt) for prompt in data.values() if not is_text(prompt) or not prompt.strip() or "/" in prompt]
    if bad:
        raise UserError(f"{path}: not usable as the name of a picture: {', '.join(bad)}")
    if len(set(data.values())) != len(data):
        raise UserError(f"{path}: an object is listed twice")
    return tuple(data.values())
