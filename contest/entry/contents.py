"""A folder or a zip archive as one immutable listing. Nothing is ever extracted to disk."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from contest.definition import Limits
from contest.entry.listing import BadItem, Item, Listing
from contest.entry.png import SIGNATURE
from contest.entry.signatures import HEAD, LFS_CURE, LOST_LINK, identify
from contest.entry.zip_records import looks_like_zip
from contest.entry.zips import list_zip
from contest.errors import UserError

MANIFEST = "manifest.json"
_LIMITS = Limits()
MAX_FILE_BYTES = _LIMITS.file_bytes
_DEPTH = 4  # a wrapping folder, style, picture, and one more to see that something lies too deep
WHOLE = sys.maxsize  # all folders, however deep


@contextmanager
def open_contents(path: Path, limits: Limits = _LIMITS, depth: int = _DEPTH) -> Iterator[Listing]:
    """List a folder, as many folders deep as `depth`, or a zip. Items can be read inside the block only.

    What is wrong with a zip itself is in the listing's findings, however broken or hostile it is. UserError: the path
    is neither a folder nor a zip.
    """
    if path.is_dir():
        yield Listing(tuple(sorted(_walk(path, limits, depth), key=lambda item: item.path)))
    elif not path.exists():
        what = LOST_LINK if path.is_symlink() else "no such file or folder"
        raise UserError(f"{path}: {what}; give a run folder, a folder of style folders, or a zip of them")
    elif not path.is_file():  # a pipe: opening it would hang
        raise UserError(f"{path}: neither a folder nor a zip archive")
    else:
        with open(path, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            read_at = partial(_read_at, stream.fileno(), size)
            if not looks_like_zip(read_at, size):
                raise UserError(f"{path}: neither a folder nor a zip archive but {_kind(read_at(0, HEAD))}")
            yield list_zip(read_at, size, path.name, limits)


def _kind(head: bytes) -> str:
    if head.startswith(SIGNATURE):
        return "a PNG; give the folder of style folders"
    what, cure = identify(head)
    return f"{what}; {cure if cure == LFS_CURE else 'give the folder of style folders, or a zip of them'}"


def _walk(top: Path, limits: Limits, depth: int) -> Iterator[Item]:
    # a folder, its name with a /, and the folders that lead to it
    left: list[tuple[Path, str, tuple[Path, ...]]] = [(top, "", (top.resolve(),))]
    while left:
        folder, prefix, trail = left.pop()
        for path in folder.iterdir():
            name = prefix + os.fsencode(path.name).decode("utf-8", "backslashreplace")
            if path.is_dir():
                yield Item(name, "folder", 0, bytes)
                real = path.resolve()
                if len(trail) < depth and real not in trail:  # a link may lead back up
                    left.append((path, f"{name}/", (*trail, real)))
            elif path.is_file():
                yield Item(name, "file", path.stat().st_size, partial(_read, path, limits.file_bytes))
            else:  # reading it would fail or hang
                yield Item(name, "broken link" if path.is_symlink() and not path.exists() else "other", 0, bytes)


def _read(path: Path, limit: int) -> bytes:
    try:
        with open(path, "rb") as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        raise BadItem("S203", f"cannot be read ({error.strerror})") from error
    if len(data) > limit:
        raise BadItem("S409", f"has more than {limit} bytes")
    return data


def _read_at(handle: int, size: int, place: int, count: int) -> bytes:
    """The bytes at `place`; a place that is not in the file has none."""
    return os.pread(handle, min(count, size - place), place) if 0 <= place < size else b""
