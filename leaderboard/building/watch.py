"""See when what a site is built from has changed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from contest.errors import UserError
from leaderboard.reading.meta import NAMES
from leaderboard.reading.reports import run_folders
from leaderboard.search import find_reports

Snapshot = dict[str, "tuple[int, int, int]"]


def snapshot(sources: Iterable[Path]) -> Snapshot:
    """Inode, size and time of change of all that matters; equal ones mean that nothing has changed.

    Of pictures only the folders are looked at: a file that is written anew, as the evaluator does, changes its folder.
    """
    return {str(path): stat for path in _places(sources) if (stat := _stat(path)) is not None}


def _places(sources: Iterable[Path]) -> Iterator[Path]:
    for source in sources:
        try:
            reports = find_reports([source])
        except (UserError, OSError):  # gone, or none in it yet
            continue
        for report in reports:
            yield report
            for folder in run_folders(report):
                yield from (folder / name for name in ("run.json", *NAMES))
                yield from _folders(folder / "sheets")
                yield from (place / "loss.csv" for place in _folders(folder / "lora"))
            yield from _folders(report.parent / "thumbnails")


def _folders(folder: Path) -> Iterator[Path]:
    if folder.is_dir() and not folder.is_symlink():
        for where, _, _ in os.walk(folder):
            yield Path(where)


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
