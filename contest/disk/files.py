"""Files that are either whole or not there, and their hashes. Standard library only; all packages use it."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from contest.disk.drafts import ENDING, open_draft
from contest.disk.encodings import instead_of_utf8
from contest.errors import UserError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # said of a handle, so without the name of a file

LFS_START = "version https://git-lfs.github.com/spec/"
LFS_POINTER = "a Git LFS pointer; fetch it with: git lfs pull (in CI `lfs: true`)"


@contextmanager
def atomic_write(
    path: str | os.PathLike[str], mode: str = "wb", draft: str | os.PathLike[str] | None = None
) -> Iterator[IO[Any]]:
    """Open a temporary file beside `path`; on success it is synced and renamed over it, on failure removed.

    Missing parent folders are made. `mode` is "wb" or "w" (UTF-8, newline as given). `draft` is another folder of the
    same disk for the temporary file, where one that a killed process leaves behind does no harm; the next writer of
    `path` takes that one over.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = path.parent if draft is None else Path(draft)
    try:
        handle, name = open_draft(path, folder)
    except OSError as error:  # about the file that was asked for, not about one that nobody named
        raise OSError(error.errno, error.strerror, str(path)) from error
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    stream = os.fdopen(handle, mode, **text)  # type: ignore[call-overload]
    try:
        yield stream
        stream.flush()
        os.fsync(handle)
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)  # before the lock falls
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        with suppress(OSError):
            stream.close()  # what it still holds goes nowhere
        if isinstance(error, OSError) and error.errno in _FULL and error.filename is None:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    stream.close()


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write `data` to `path` atomically."""
    with atomic_write(path) as stream:
        stream.write(data)


def copy_file(path: str | os.PathLike[str], source: str | os.PathLike[str]) -> None:
    """Copy the file `source` to `path` atomically."""
    write_bytes(path, Path(source).read_bytes())


def link_file(path: str | os.PathLike[str], source: str | os.PathLike[str]) -> None:
    """`copy_file` that takes no room where the disk knows hard links: for files that are replaced, never changed."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name[:40]}.link{ENDING}")
    try:
        draft.unlink(missing_ok=True)  # of a process that was killed
        os.link(source, draft)
        os.replace(draft, path)
        draft.unlink(missing_ok=True)  # two names of one file already: then a rename does nothing
    except OSError:
        copy_file(path, source)


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write `value` as indented UTF-8 JSON, atomically. NaN and infinity are refused (ValueError)."""
    with atomic_write(path, "w") as stream:
        stream.write(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a file that people write, without the mark that editors on Windows put before it.

    UserError: in another encoding than UTF-8, or a pointer of Git LFS.
    """
    try:
        text = Path(path).read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: {instead_of_utf8(error)}") from error
    if text.startswith(LFS_START):
        raise UserError(f"{path}: {LFS_POINTER}")
    if "\0" in text:
        raise UserError(f"{path}: not UTF-8 text but UTF-16 or the like; save it as UTF-8")
    return text


def is_lfs_pointer(path: str | os.PathLike[str]) -> bool:
    """Whether a file holds only where Git LFS keeps what should be in it."""
    try:
        with open(path, "rb") as stream:
            return stream.read(len(LFS_START)) == LFS_START.encode()
    except OSError:
        return False


def read_json(path: str | os.PathLike[str], once: bool = False) -> Any:
    """Read a JSON file; a missing or malformed one raises UserError naming the file.

    `once` refuses a key that is given twice, of which JSON keeps the last: for files that people write.
    """
    try:
        return parse_json(read_text(path), object_pairs_hook=_each_once if once else None)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; put it there or name another place") from error
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON ({error}); mend the file or make it again") from error


def parse_json(text: str | bytes, **options: Any) -> Any:
    """`json.loads` of a text that anybody may have written: it says ValueError, too, where lists lie too deep."""
    try:
        return json.loads(text, **options)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"{key!r} is given twice")
        found[key] = value
    return found


def sha256(path: str | os.PathLike[str]) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def fingerprint(digests: Mapping[tuple[str, str], str]) -> str:
    """One SHA-256 over sorted (style, name) -> SHA-256 of the file, the same for a folder and a zip of it.

    What reports are known by; docs/adr/0001 defines it.
    """
    lines = (f"{digest}  {style}/{name}\n" for (style, name), digest in sorted(digests.items()))
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogatepass")).hexdigest()


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value
