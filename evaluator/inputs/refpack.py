"""References without pictures: one .npz with what the metrics need of them, and nothing to see.

It gives the same figures as the folder, starts faster, and can be published where the pictures must not be. Inside
are the prompts, the pictures' names and hashes, and per extractor and style a few arrays: DINO's mean direction, mean
histograms, 64 Inception features a picture, LPIPS' mean feature maps. Every array's hash is in the header, and a pack
is refused where weights, preprocessing or profile are not those it was made with.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from contest.disk.files import LFS_POINTER, atomic_write, is_lfs_pointer, parse_json
from contest.disk.shipped import references_folder
from contest.errors import UserError
from contest.reading import load_contest
from contest.typed import from_json
from evaluator.extractors.base import Arrays, Extractor
from evaluator.inputs.array_files import read_arrays
from evaluator.inputs.references import Digests, FolderReferences, References

if TYPE_CHECKING:
    from evaluator.scoring.viewer import Kept, Progress, Viewer

FORMAT = 1
_HEADER = "header.json"


@dataclass(frozen=True)
class Header:
    """What a pack says of itself.

    `prompts` and `pictures` (name -> SHA-256 of the file) are by style, `recipes` by extractor, `arrays` maps
    "<extractor>/<style>/<name>" to a SHA-256.
    """

    format: int
    name: str
    profile: str
    prompts: dict[str, list[str]]
    pictures: dict[str, dict[str, str]]
    recipes: dict[str, dict[str, Any]]
    arrays: dict[str, str]


def write_pack(path: Path, references: References, viewer: Viewer, profile: str, progress: Progress) -> Header:
    """Look at all references and write what is kept of them; equal references give equal bytes. Raises UserError."""
    styles = references.styles
    prompts, pictures = references.prompts(styles), references.digests(styles)
    kept = references.keep(styles, viewer, progress)
    arrays = {
        f"{extractor}/{style}/{name}": array
        for extractor, table in sorted(kept.items())
        for style, named in sorted(table.items())
        for name, array in sorted(named.items())
    }
    header = Header(
        format=FORMAT,
        name=references.name,
        profile=profile,
        prompts={style: list(objects) for style, objects in prompts.items()},
        pictures={style: {name: digest for (of, name), digest in pictures.items() if of == style} for style in styles},
        recipes={name: viewer.extractors[name].recipe for name in kept},
        arrays={name: _sha256(array) for name, array in arrays.items()},
    )
    text = json.dumps(asdict(header), ensure_ascii=False, sort_keys=True)
    with atomic_write(path) as stream:
        np.savez_compressed(stream, **{_HEADER: np.frombuffer(text.encode(), np.uint8)}, **arrays)
    return header


class PackedReferences:
    """References as `write_pack` wrote them. Raises UserError for a file that is none or is damaged."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._header = _read_header(path, self._read([_HEADER])[_HEADER])
        self.name = self._header.name
        self.styles = tuple(sorted(self._header.prompts))

    def prompts(self, styles: Sequence[str]) -> dict[str, tuple[str, ...]]:
        return {style: tuple(self._header.prompts[style]) for style in styles}

    def digests(self, styles: Sequence[str]) -> Digests:
        pictures = self._header.pictures
        return {(style, name): digest for style in styles for name, digest in pictures[style].items()}

    def keep(self, styles: Sequence[str], viewer: Viewer, progress: Progress) -> Kept:
        readers = {name: reader for name, reader in viewer.extractors.items() if reader.sees_references}
        self._require_same(readers)
        places = {
            (extractor, style, full.split("/", 2)[2]): full
            for full in self._header.arrays
            for extractor, style in [full.split("/", 2)[:2]]
            if extractor in readers and style in styles
        }
        arrays = self._read(list(places.values()))
        damaged = [name for name, array in arrays.items() if _sha256(array) != self._header.arrays[name]]
        if damaged:
            raise UserError(f"{self._path}: {damaged[0]} is damaged; fetch the pack again")
        kept: Kept = {name: {style: {} for style in styles} for name in readers}
        for (extractor, style, name), full in places.items():
            kept[extractor][style][name] = arrays[full]
        return kept

    def thumbnails(self, styles: Sequence[str]) -> dict[str, bytes]:
        return {}

    def _require_same(self, readers: Mapping[str, Extractor]) -> None:
        for name, reader in readers.items():
            theirs, ours = self._header.recipes.get(name), reader.recipe
            if theirs is None:
                raise UserError(f"{self._path}: nothing of {name} is in it; make it again: jdart-eval references pack")
            differing = sorted(key for key in {*theirs, *ours} if theirs.get(key) != _plain(ours.get(key)))
            if differing:
                what = {"files": "other weights"}.get(differing[0], f"another {differing[0]}")
                raise UserError(
                    f"{self._path}: was made with {what} for {name} (profile {self._header.profile}); use the same "
                    "weights and profile, or make it again: jdart-eval references pack"
                )

    def _read(self, names: Sequence[str]) -> Arrays:
        try:
            return read_arrays(self._path, names)
        except FileNotFoundError as error:
            raise UserError(f"{self._path}: no such file") from error
        except (OSError, ValueError) as error:
            why = LFS_POINTER if is_lfs_pointer(self._path) else f"not a references pack, or damaged ({error})"
            raise UserError(f"{self._path}: {why}") from error


def _read_header(path: Path, raw: np.ndarray) -> Header:
    try:
        data = parse_json(raw.tobytes().decode())
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise UserError(f"{path}: a references pack of another format; this jdart reads {FORMAT}; make it again")
        header = from_json(Header, data, "header")
        if set(header.prompts) != set(header.pictures) or not header.prompts:
            raise ValueError("prompts and pictures are not of the same styles")
    except ValueError as error:
        raise UserError(f"{path}: not a references pack ({error})") from error
    return header


def _plain(value: Any) -> Any:
    """As it is after JSON."""
    return json.loads(json.dumps(value))


def _sha256(array: np.ndarray) -> str:
    text = f"{array.dtype.str} {array.shape} ".encode()
    return hashlib.sha256(text + np.ascontiguousarray(array).tobytes()).hexdigest()


def open_references(path: Path, contest: str | os.PathLike[str] | None = None) -> References:
    """A folder of references, or a pack; `toy` are those that come along. Raises UserError.

    The prompts of a `contest`, a shipped one or a file, are those of styles that have none beside their references.
    """
    path = references_folder(path)
    if path.suffix == ".npz":
        return PackedReferences(path)
    return FolderReferences(path, prompts={} if contest is None else load_contest(contest).styles)
