"""Where a file or folder is made before it takes its place, under a name that whoever makes the same one finds again.

A writer holds a lock on its draft, which falls with its process. A draft that nobody holds was left by one that was
killed: the next writer of the same file takes it over, so that nothing is left of it when that one is done.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # no such locks on this system: every draft gets a name of its own
    fcntl = None  # type: ignore[assignment]

ENDING = ".part"


def open_draft(path: Path, folder: Path) -> tuple[int, str]:
    """An empty file in `folder` in which to make `path`: its handle, which holds the lock, and its name. OSError."""
    start = f".{path.name[:40]}."
    name = os.path.join(folder, f"{start}{_tag(os.path.relpath(path, folder))}{ENDING}")
    handle = _hold(name, os.O_RDWR | os.O_CREAT, stat.S_ISREG)
    if handle is None:  # another writes this very file, or there are no locks
        return tempfile.mkstemp(prefix=start, suffix=ENDING, dir=folder)
    os.ftruncate(handle, 0)
    return handle, name


@contextmanager
def draft_folder(path: Path, keep: str | None = None) -> Iterator[Path]:
    """An empty folder beside `path`, in which to make what is moved there; it is gone when the block ends.

    One that holds a file `keep` stays, and is never taken over. Only its owner may read it: what is moved out of it
    should be a folder or file inside of it. OSError.
    """
    start = f".{path.name[:40]}."
    name = path.with_name(f"{start}{_tag(path.name)}{ENDING}")
    handle = _hold_folder(name, keep)
    work = name if handle is not None else Path(tempfile.mkdtemp(prefix=start, suffix=ENDING, dir=path.parent))
    try:
        yield work
    finally:
        if keep is None or not (work / keep).exists():
            shutil.rmtree(work, ignore_errors=True)
        if handle is not None:
            os.close(handle)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder to write in that becomes `path` at the end of the block, and is gone where the block fails.

    OSError where `path` is there by then and holds anything.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with draft_folder(path) as work:
        draft = work / path.name
        draft.mkdir()
        yield draft
        os.rename(draft, path)


def _hold_folder(name: Path, keep: str | None) -> int | None:
    """The lock of a folder that is now empty; None where it cannot be had."""
    if fcntl is None:
        return None
    made = not name.exists()
    try:
        name.mkdir(mode=0o700, exist_ok=True)
    except OSError:
        return None  # `mkdtemp` says what is wrong there
    handle = _hold(os.fspath(name), os.O_RDONLY | getattr(os, "O_DIRECTORY", 0), stat.S_ISDIR)
    if handle is None:
        if made:
            with suppress(OSError):
                name.rmdir()
        return None
    try:
        if keep is None or not (name / keep).exists():
            for one in os.scandir(name):
                shutil.rmtree(one) if one.is_dir(follow_symlinks=False) else os.unlink(one)
            return handle
    except OSError:
        pass
    os.close(handle)
    return None


def _hold(name: str, flags: int, is_kind: Callable[[int], bool]) -> int | None:
    """Open and lock what is called `name`, which stays called so while it is held; None where that is impossible."""
    if fcntl is None:
        return None
    try:
        handle = os.open(name, flags | getattr(os, "O_NOFOLLOW", 0), 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        here, there = os.fstat(handle), os.lstat(name)
        # another may have put it in its place since it was opened
        if os.path.samestat(here, there) and is_kind(here.st_mode):
            return handle
    except OSError:
        pass
    os.close(handle)
    return None


def _tag(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:8]
