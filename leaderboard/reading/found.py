"""Which pictures lie beside a report: thumbnails of outputs and references, and the contact sheets of its run.

Only what a folder lists is taken, by its name there, and never a link: a name that a stranger wrote opens no file.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from leaderboard.building.webp import LARGEST, LARGEST_SHEET, fits, plain_webp_size, png_size, webp_size
from leaderboard.reading.digests import Digests
from leaderboard.reading.taker import NAME
from leaderboard.text import clean_name

SMALL, LARGE, SHEET = 96, 320, 1200  # px of the longer side, at most
_REFERENCES = 100  # of a style


class Source(NamedTuple):
    """A picture on disk. `plain`: it is a WebP file that can be published as it is; `digest` is of its contents."""

    path: str
    digest: str
    width: int
    height: int
    plain: bool


@dataclass(frozen=True)
class Found:
    """Pictures of a report: outputs by (style, file), references by style and object, sheets by their paths."""

    outputs: Mapping[tuple[str, str], Source] = field(default_factory=dict)
    references: Mapping[str, Mapping[str, Source]] = field(default_factory=dict)
    sheets: Mapping[Path, Source] = field(default_factory=dict)

    @property
    def inputs(self) -> str:
        """A hash of what is there and what it holds."""
        lines = [("output", style, file, one.digest) for (style, file), one in self.outputs.items()]
        lines += [
            ("reference", style, name, one.digest)
            for style in self.references
            for name, one in self.references[style].items()
        ]
        lines += [("sheet", "", path.name, one.digest) for path, one in self.sheets.items()]
        return hashlib.sha256(repr(sorted(lines)).encode("utf-8", "backslashreplace")).hexdigest()


def find_pictures(
    folder: Path, names: Mapping[tuple[str, str], Mapping[str, str]], sheets: Iterable[Path], digests: Digests
) -> Found:
    """Look for pictures in the report's `thumbnails/`, and for contact sheets.

    `names` maps (folder of a style, its name on the pages) to its pictures' file names and what they are on the pages.
    """
    outputs, references = {}, {}
    roots = {role: _folder(folder, "thumbnails", role) for role in ("outputs", "references")}
    for (raw, style), files in names.items():
        there = _pictures(roots["outputs"], raw, digests)
        for raw_file, file in files.items():
            source = there.get(os.path.splitext(raw_file)[0])
            if source is not None:
                outputs[style, file] = source
        there = _pictures(roots["references"], raw, digests)
        if there:
            references[style] = {_object(stem): there[stem] for stem in sorted(there)[:_REFERENCES]}
    shown = {path: source for path in sheets if (source := _sheet(path, digests)) is not None}
    return Found(outputs, references, shown)


def _folder(start: Path, *names: str) -> str | None:
    """A folder below `start`, reached without a link."""
    path = str(start)
    for name in names:
        path = os.path.join(path, name)
        if os.path.islink(path) or not os.path.isdir(path):
            return None
    return path


def _pictures(root: str | None, style: str, digests: Digests) -> dict[str, Source]:
    """Stem -> picture for every WebP file in a style's folder."""
    if root is None:
        return {}
    found, folder = {}, os.path.join(root, style)
    try:
        if os.path.islink(folder):
            return {}
        note = digests.of_folder(folder, _describe)
        with os.scandir(folder) as entries:
            for entry in entries:
                name = entry.name
                if name.endswith(".webp") and entry.is_file(follow_symlinks=False):
                    stat = entry.stat(follow_symlinks=False)
                    source = _source(folder, name, note(name, stat)) if stat.st_size <= LARGEST else None
                    if source is not None:
                        found[name.removesuffix(".webp")] = source
    except (OSError, ValueError):  # a name that no disk takes, or a file that may not be read
        return found
    return found


def _sheet(path: Path, digests: Digests) -> Source | None:
    try:
        (folder, name), stat = os.path.split(path), os.lstat(path)
        note = digests.of_folder(folder, _describe)
        return _source(folder, name, note(name, stat)) if stat.st_size <= LARGEST_SHEET else None
    except OSError:
        return None


def _source(folder: str, name: str, note: str) -> Source | None:
    digest, width, height, plain = note.split()
    return None if digest == "-" else Source(f"{folder}{os.sep}{name}", digest, int(width), int(height), plain == "1")


def _describe(data: bytes) -> str:
    """Digest, width, height, and whether it is a plain WebP file; "-" for what is no picture."""
    plain = plain_webp_size(data)
    size = plain if plain is not None else webp_size(data) if data[:4] == b"RIFF" else png_size(data)
    if size is None or not fits(size):
        return "- 0 0 0"
    return f"{_digest(data)} {size[0]} {size[1]} {int(plain is not None)}"


def same(data: bytes, digest: str) -> bool:
    """Whether these are the contents that a `Source` was described by."""
    return _digest(data) == digest


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:20]


def _object(stem: str) -> str:
    """What a reference shows, from its file name: "olive_tree" is an olive tree."""
    return clean_name(stem.replace("_", " "), NAME)
