"""A folder or a zip archive as one immutable listing. Nothing is ever extracted to disk."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from submission.errors import UserError

MANIFEST = "manifest.json"
MAX_FILE_BYTES = 64 << 20  # a 1024x1024 RGB picture has 3 MiB; what says it is larger is not read
_DEPTH = 4  # a wrapping folder, style, picture, and one more to see that something lies too deep
_ENCRYPTED = 0x1


@dataclass(frozen=True)
class Item:
    """One name in the listing. `path` is relative, with `/`; `kind` is "file", "folder" or "other"."""

    path: str
    kind: str
    size: int
    read: Callable[[], bytes]


@contextmanager
def open_contents(path: Path) -> Iterator[tuple[Item, ...]]:
    """List a folder or zip, sorted by path. Items can be read inside the block only.

    UserError: neither of both, a broken archive, or one with names that lead out of it.
    """
    if path.is_dir():
        yield tuple(sorted(_walk(path, "", 1), key=lambda item: item.path))
    elif not path.exists():
        raise UserError(f"{path}: no such file or folder")
    elif not zipfile.is_zipfile(path):
        raise UserError(f"{path}: neither a folder nor a zip archive")
    else:
        with _as_user_error(path):
            archive = zipfile.ZipFile(path)
        with archive:
            members = [_member(path, archive, info) for info in archive.infolist()]
            files = [item for item in members if item.kind == "file"]
            folders = {item.path for item in members if item.kind == "folder"}
            folders |= {str(parent) for item in members for parent in PurePosixPath(item.path).parents} - {"."}
            items = files + [Item(folder, "folder", 0, bytes) for folder in folders]
            yield tuple(sorted(items, key=lambda item: item.path))


def _walk(folder: Path, prefix: str, depth: int) -> Iterator[Item]:
    for path in folder.iterdir():
        name = prefix + os.fsencode(path.name).decode("utf-8", "backslashreplace")
        if path.is_dir():
            yield Item(name, "folder", 0, bytes)
            if depth < _DEPTH:  # also ends links that lead back up
                yield from _walk(path, f"{name}/", depth + 1)
        elif path.is_file():
            yield Item(name, "file", path.stat().st_size, path.read_bytes)
        else:  # a broken link, a pipe: reading it would fail or hang
            yield Item(name, "other", 0, bytes)


def _member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Item:
    name = info.filename
    if "\\" in name or "\0" in info.orig_filename:
        raise UserError(f"{path}: the name {name!r} does not separate folders with /; zip it again")
    if name.startswith("/") or ".." in PurePosixPath(name).parts or ":" in name.split("/")[0]:
        raise UserError(f"{path}: the name {name!r} leads out of the archive; zip it again from its own folder")
    if info.flag_bits & _ENCRYPTED:
        raise UserError(f"{path}: {name!r} is encrypted; zip it again without a password")
    kind = "folder" if name.endswith("/") else "file"
    return Item(name.rstrip("/"), kind, info.file_size, partial(_read, path, archive, info))


def _read(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    if info.file_size > MAX_FILE_BYTES:
        raise UserError(f"{path}: {info.filename!r} unpacks to {info.file_size} bytes; remove it and zip it again")
    with _as_user_error(path):
        return archive.read(info)


@contextmanager
def _as_user_error(path: Path) -> Iterator[None]:
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # zipfile and its decompressors raise whatever hostile bytes provoke
        raise UserError(f"{path}: broken archive ({str(error) or type(error).__name__}); zip it again") from error
