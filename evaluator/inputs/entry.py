"""Where an entry's pictures come from: a folder of style folders, a run folder, or a built zip.

Listed here, judged in check.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contest.definition import Limits
from contest.disk.files import parse_json, read_json
from contest.disk.shipped import place_in_run
from contest.entry.contents import MANIFEST, BadItem, Item, Listing, open_contents
from contest.entry.signatures import LINK_CURE, LOST_LINK
from contest.errors import UserError
from contest.names import PICTURE_ENDINGS
from evaluator.inputs.images import MAX_BYTES, BadPicture

LIMITS = Limits(files=100_000, file_bytes=MAX_BYTES)  # of a zip

Source = Callable[[], bytes]


@dataclass(frozen=True)
class Entry:
    """What lies in an entry, unjudged.

    `files` maps style -> name -> how to read it; the value is None for what cannot be a picture (a folder,
    a duplicate); `loose` are the pictures outside of style folders. `styles` is what run.json or manifest.json
    declares, `references`, `weights` and `rules`, the file of a contest that does not come along, what run.json names.
    """

    name: str
    files: Mapping[str, Mapping[str, Source | None]]
    home: Path  # nothing may be written inside it
    report: Path  # where its report goes by default
    contest: str | None = None
    styles: tuple[str, ...] | None = None
    references: Path | None = None
    weights: Path | None = None
    rules: Path | None = None
    loose: tuple[str, ...] = ()


@contextmanager
def open_entry(path: Path) -> Iterator[Entry]:
    """List the entry at `path`; its pictures can be read inside the block. Raises UserError."""
    with ExitStack() as stack:
        if (path / "run.json").is_file():
            yield _from_run(path)
        elif path.is_dir():
            yield Entry(
                _name(path), list_folder(path), path, _beside(path, _name(path)), loose=_loose(os.listdir(path))
            )
        else:
            yield _from_zip(path, stack.enter_context(open_contents(path, LIMITS)))


def list_folder(folder: Path) -> dict[str, dict[str, Source | None]]:
    """style -> name -> reader, of the folders directly in `folder`."""
    return {
        style.name: {
            _legible(item.name): reader(item) if is_text(item.name) else None for item in sorted(style.iterdir())
        }
        for style in sorted(folder.iterdir())
        if style.is_dir()
    }


def is_text(value: Any) -> bool:
    """Whether `value` is a non-empty string without line breaks, control characters and broken bytes."""
    return isinstance(value, str) and value != "" and value.isprintable()


def text_field(data: Any, key: str, source: Path | str) -> str | None:
    """`data[key]`, a non-empty string or absent or null; anything else is a UserError naming `source`."""
    value = data.get(key)
    if value is not None and not is_text(value):
        raise UserError(f"{source}: {key} must be a non-empty string")
    return value


def _from_run(run: Path) -> Entry:
    source = run / "run.json"
    data = read_json(source)
    _check_schema(data, source)
    images = text_field(data, "images", source)
    folder = run / ("images" if images is None else images)
    if not os.path.isdir(folder):
        raise UserError(f"{folder}: no such folder, but {source} says that the pictures are there")
    local = data.get("local")
    if local is None:
        local = {}
    if not isinstance(local, dict):
        raise UserError(f"{source}: local must be an object")
    places = {key: text_field(local, key, source) for key in ("references", "weights", "rules")}
    name = text_field(data, "name", source)
    return Entry(
        name=_name(run) if name is None else name,
        files=list_folder(folder),
        home=folder,
        report=run / "report",
        loose=_loose(os.listdir(folder)),
        contest=text_field(data, "contest", source),
        styles=_styles(data.get("styles"), source),
        **{key: None if place is None else place_in_run(run, place) for key, place in places.items()},
    )


def _from_zip(path: Path, listing: Listing) -> Entry:
    if listing.findings:
        raise UserError(f"{path}: {listing.findings[0]}; see all with: jdart-submit check {path}")
    files: dict[str, dict[str, Source | None]] = {}
    manifest: Any = {}
    for item in listing.items:
        style, _, inside = item.path.partition("/")
        if item.path == MANIFEST:
            manifest = _read_manifest(path, item)
        elif inside == "" and item.kind == "folder":
            files.setdefault(style, {})
        elif inside:
            there = files.setdefault(style, {})
            # a second file of one name or a folder in a style folder counts as no picture
            usable = item.kind == "file" and "/" not in inside and inside not in there
            there[inside] = _item_reader(item) if usable else None
    source = f"{path}: manifest.json"
    contest = manifest.get("contest")
    run = manifest.get("run")
    name = text_field(run, "name", source) if isinstance(run, dict) else None
    return Entry(
        name=path.stem if name is None else name,
        files={style: dict(sorted(names.items())) for style, names in sorted(files.items())},
        home=path,
        report=_beside(path, path.stem),
        loose=_loose(item.path for item in listing.items),
        contest=text_field(contest, "name", source) if isinstance(contest, dict) else None,
        styles=_styles(contest.get("styles"), source) if isinstance(contest, dict) else None,
    )


def _read_manifest(path: Path, item: Item) -> dict[str, Any]:
    source = f"{path}: manifest.json"
    try:
        data = parse_json(item.read().decode("utf-8"))
    except BadItem as problem:
        raise UserError(f"{source} {problem}") from problem
    except ValueError as error:
        raise UserError(f"{source} is not valid JSON ({error})") from error
    _check_schema(data, source)
    return data


def _check_schema(data: Any, source: Path | str) -> None:
    if not isinstance(data, dict):
        raise UserError(f"{source}: must hold a JSON object")
    if data.get("schema_version") != 1:
        raise UserError(f"{source}: schema_version is {data.get('schema_version')!r}; this jdart reads 1")


def _styles(value: Any, source: Path | str) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, (list, dict)) or not value or not all(map(is_text, value)):
        raise UserError(f"{source}: styles must be a non-empty list of style names")
    return tuple(sorted(set(value)))


def reader(path: Path) -> Source | None:
    """How to read the file at `path` (at most MAX_BYTES, else BadPicture), or None where it is not a file.

    A link to a file is read, as `jdart-submit` reads it; in an archive it is refused.
    """
    lost = path.is_symlink() and not path.exists()
    if not path.is_file() and not lost:
        return None

    def read() -> bytes:
        try:
            if lost:
                raise BadPicture("stray-file", f"is {LOST_LINK}; {LINK_CURE}")
            if path.stat().st_size > MAX_BYTES:
                raise BadPicture("too-large", f"is larger than {MAX_BYTES >> 20} MiB")
            return path.read_bytes()
        except OSError as error:
            raise BadPicture("unreadable", f"cannot be read ({error.strerror})") from error

    return read


def _item_reader(item: Item) -> Source:
    def read() -> bytes:
        try:
            return item.read()
        except BadItem as problem:
            raise BadPicture("unreadable", str(problem)) from problem

    return read


def _loose(paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(path for path in paths if "/" not in path and path.lower().endswith(PICTURE_ENDINGS)))


def _legible(name: str) -> str:
    """`name`, or its escaped form where it cannot stand on a line; what needs that counts as no picture."""
    return name if is_text(name) else ascii(name)


def _name(folder: Path) -> str:
    name = folder.resolve().name
    return name if name else "entry"


def _beside(path: Path, name: str) -> Path:
    return path.resolve().parent / f"{name}-report"
