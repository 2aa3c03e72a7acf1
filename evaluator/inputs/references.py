"""The references of a contest as a folder: <references>/<style>/images/*.png and <references>/<style>/prompt.json.

An organiser can also hand them out without pictures, see refpack.py.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from contest.disk.files import read_json
from contest.errors import UserError
from contest.references import where_references_lie
from evaluator.inputs.check import Picture, check_references
from evaluator.inputs.entry import Source, is_text, reader

if TYPE_CHECKING:
    from evaluator.scoring.viewer import Kept, Progress, Viewer

Digests = dict[tuple[str, str], str]  # (style, name) -> SHA-256 of the picture's file


class References(Protocol):
    """What scoring needs of a contest's references, wherever it comes from."""

    name: str
    styles: tuple[str, ...]

    def prompts(self, styles: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """The objects to draw, in the file's order. Raises UserError."""

    def digests(self, styles: Sequence[str]) -> Digests:
        """Which pictures they are. Raises UserError that names every one which cannot be used."""

    def keep(self, styles: Sequence[str], viewer: Viewer, progress: Progress) -> Kept:
        """What the viewer's extractors keep of them. Raises UserError."""

    def thumbnails(self, styles: Sequence[str]) -> dict[str, bytes]:
        """ "<style>/<name without .png>" -> WebP, of what `keep` has looked at."""


class FolderReferences:
    """References that are pictures in a folder; each style is looked at once, when it is asked for.

    Of a style in `only` there are the pictures of these names alone. `prompts` are those of a contest that lists them
    in its own file, for styles without a prompt.json.
    """

    def __init__(
        self,
        folder: Path,
        only: Mapping[str, Collection[str]] = MappingProxyType({}),
        prompts: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
    ) -> None:
        self.name = folder.resolve().name
        self._only, self._prompts = only, prompts
        self.styles = list_styles(folder)
        self._folder = folder
        self._pictures: dict[str, list[Picture]] = {}
        self._kept: Kept = {}
        self._thumbnails: dict[str, dict[str, bytes]] = {}

    def prompts(self, styles: Sequence[str]) -> dict[str, tuple[str, ...]]:
        files = {style: self._folder / style / "prompt.json" for style in styles}
        given = {style for style in styles if self._prompts.get(style) and not files[style].is_file()}
        return {style: self._prompts[style] if style in given else _read_prompts(file) for style, file in files.items()}

    def digests(self, styles: Sequence[str]) -> Digests:
        if not set(styles) <= set(self._pictures):
            self._pictures = check_references({style: self._images(style) for style in styles})
        return {(style, picture.name): picture.sha256 for style in styles for picture in self._pictures[style]}

    def _images(self, style: str) -> Mapping[str, Source]:
        images = _list_images(self._folder / style)
        return {name: read for name, read in images.items() if style not in self._only or name in self._only[style]}

    def keep(self, styles: Sequence[str], viewer: Viewer, progress: Progress) -> Kept:
        self.digests(styles)
        missing = {style: self._pictures[style] for style in styles if style not in self._thumbnails}
        if missing:
            kept, look = viewer.keep(missing, progress)
            for name, arrays in kept.items():
                self._kept.setdefault(name, {}).update(arrays)
            for picture, thumbnail in look.thumbnails.items():
                self._thumbnails.setdefault(picture.style, {})[picture.where[: -len(".png")]] = thumbnail
        return {name: {style: arrays[style] for style in styles} for name, arrays in self._kept.items()}

    def thumbnails(self, styles: Sequence[str]) -> dict[str, bytes]:
        return {where: data for style in styles for where, data in self._thumbnails[style].items()}


def list_styles(folder: Path) -> tuple[str, ...]:
    """The styles of a references folder, sorted. Raises UserError where there are none."""
    if not folder.is_dir():
        is_file = folder.is_file()
        what = "a file, and no pack, whose name ends in .npz" if is_file else "no such references folder"
        raise UserError(f"{folder}: {what}; references are <style>/images/*.png and <style>/prompt.json")
    styles = sorted(
        item.name for item in folder.iterdir() if (item / "images").is_dir() or (item / "prompt.json").is_file()
    )
    if not styles:
        raise UserError(f"{folder}: no styles in it; {where_references_lie(folder)}")
    return tuple(styles)


def _list_images(style: Path) -> Mapping[str, Source]:
    images = style / "images"
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
    return usable


def _read_prompts(path: Path) -> tuple[str, ...]:
    data = read_json(path, once=True)
    if not isinstance(data, dict) or not data:
        raise UserError(f'{path}: must be an object such as {{"0": "Dolphin", "1": "Ice cream"}}')
    bad = [repr(prompt) for prompt in data.values() if not is_text(prompt) or not prompt.strip() or "/" in prompt]
    if bad:
        raise UserError(f"{path}: not usable as the name of a picture: {', '.join(bad)}")
    if len(set(data.values())) != len(data):
        raise UserError(f"{path}: an object is listed twice")
    return tuple(data.values())
