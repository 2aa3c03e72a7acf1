"""The entry's archive: the same bytes for the same files, whatever the clock, umask or Python.

`zipfile` writes the Python version's own choices into headers, so this writes the stored kind itself (PKWARE
APPNOTE 6.3 sections 4.3.7, 4.3.12 and 4.3.16): sorted names, no compression, 1980-01-01, mode 0644,
made on Unix.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from contest.disk.drafts import draft_folder
from contest.disk.files import atomic_write
from contest.errors import UserError

_MAX_BYTES = 0xFFFFFFFE  # beyond it zip64 would be needed; a contest's entry has a quarter
_MAX_FILES = 0xFFFE
_VERSION = 20
_UTF8 = 0x800
_DATE = (1 << 5) | 1  # 1980-01-01, the first that zip knows
_UNIX = 3 << 8
_MODE = 0o100644 << 16


def pack(files: Mapping[str, Callable[[], bytes]]) -> Iterator[bytes]:
    """Yield the archive piece by piece. `files` maps names to readers; one file at a time is in memory.

    UserError: more than a plain zip can hold.
    """
    directory = []
    offset = 0
    for name in sorted(files):
        data = files[name]()
        encoded = name.encode()
        flags = 0 if name.isascii() else _UTF8
        what = (flags, 0, 0, _DATE, zlib.crc32(data), len(data), len(data), len(encoded), 0)
        directory.append(
            struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\1\2", _UNIX | _VERSION, _VERSION, *what, 0, 0, 0, _MODE, offset)
            + encoded
        )
        local = struct.pack("<4sHHHHHIIIHH", b"PK\3\4", _VERSION, *what) + encoded
        offset += len(local) + len(data)
        if offset > _MAX_BYTES or len(directory) > _MAX_FILES:
            raise UserError("more than 4 GiB or 65534 files; a plain zip cannot hold them")
        yield local
        yield data
    listing = b"".join(directory)
    yield listing
    count = len(directory)
    yield struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, count, count, len(listing), offset, 0)


def write_archive(path: Path, pieces: Iterable[bytes], replace: bool) -> None:
    """Write the archive, whole or not at all.

    UserError: something is at `path` and `replace` is not set, be it put there while this was writing.
    """
    if replace:
        _write(path, pieces)
        return
    refusal = UserError(f"{path}: is there already and differs; --force replaces it")
    if path.exists():
        raise refusal
    path.parent.mkdir(parents=True, exist_ok=True)
    with draft_folder(path) as folder:
        draft = folder / path.name
        _write(draft, pieces)
        try:
            os.link(draft, path)  # a rename would replace what is there
        except FileExistsError as error:
            raise refusal from error
        except OSError as error:  # a disk without links, such as exFAT
            if path.exists():
                raise refusal from error
            os.replace(draft, path)


def same_bytes(path: Path, pieces: Iterator[bytes]) -> bool:
    """Is the file exactly these pieces, to its last byte?"""
    with open(path, "rb") as stream:
        for piece in pieces:
            if stream.read(len(piece)) != piece:
                return False
        return stream.read(1) == b""


def _write(path: Path, pieces: Iterable[bytes]) -> None:
    with atomic_write(path) as stream:
        for piece in pieces:
            stream.write(piece)
