"""Put a site on disk in one move, and leave alone what somebody else put there."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from submission.errors import UserError

MARKER = ".jdart-board.json"  # lists what we wrote, so that everything else in the folder is known to be another's


def publish(folder: Path, files: Mapping[str, bytes], force: bool = False) -> None:
    """Replace the site in `folder` by `files` (relative path -> bytes), as one move of a finished folder.

    Files that an earlier site did not write stay where they are. UserError: `folder` holds something that is
    not a site of ours, and `force` is not set; with `force` only files of the same names are replaced.
    """
    folder = folder.resolve()
    ours = _listed(folder, force) | set(files) | {MARKER}
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name[:40]}.", suffix=".part", dir=folder.parent))
    try:
        fresh, aside = work / "new", work / "old"
        fresh.mkdir()  # not `work` itself, which only its owner may read
        marker = json.dumps({"schema_version": 1, "files": sorted(files)}, indent=1) + "\n"
        for name, data in {**files, MARKER: marker.encode()}.items():
            (fresh / name).parent.mkdir(parents=True, exist_ok=True)
            (fresh / name).write_bytes(data)
        if folder.exists():
            os.rename(folder, aside)
        try:
            os.rename(fresh, folder)
        except OSError:
            if aside.exists():
                os.rename(aside, folder)
            raise
        for name in _names(aside):
            if name not in ours:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                os.rename(aside / name, folder / name)
    except BaseException:
        shutil.rmtree(work / "new", ignore_errors=True)
        if not (work / "old").exists():  # else it holds files of others: left for their owner
            shutil.rmtree(work)
        raise
    shutil.rmtree(work)


def _listed(folder: Path, force: bool) -> set[str]:
    """Names that an earlier site of ours wrote into `folder`."""
    if not folder.exists():
        return set()
    if not folder.is_dir():
        raise UserError(f"{folder}: a file; choose a folder for the site")
    try:
        return set(json.loads((folder / MARKER).read_text("utf-8"))["files"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        if force or not any(folder.iterdir()):
            return set()
        raise UserError(
            f"{folder}: not empty and not a site of jdart-board; choose another folder, or --force"
        ) from error


def _names(folder: Path) -> Iterator[str]:
    """Every file and link under `folder`, relative, links not followed."""
    for where, folders, files in os.walk(folder):
        for name in [*files, *(name for name in folders if os.path.islink(os.path.join(where, name)))]:
            yield os.path.relpath(os.path.join(where, name), folder)
