"""What an entry is made of on disk, and how to see without reading it that nothing of it has changed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from leaderboard.reading.meta import NAMES

Stamp = tuple[int, int, int, int]  # inode, size, time of change of the contents, and of the inode
SETTLED = 2.0  # seconds: what has just been written may be written again in the same tick of a disk's clock


def stamp(path: str | Path, follow: bool = False) -> Stamp | None:
    """What changes when a file is written, or when a folder gets, loses or exchanges a file; None where nothing is.

    The inode's own time is in it because programs that copy files set the other one back. A file that is written over
    where it lies does not change its folder. `follow`: what a link leads to.
    """
    try:
        return stamp_of(os.stat(path, follow_symlinks=follow))
    except (OSError, ValueError):  # ValueError: a name that no disk takes
        return None


def stamp_of(found: os.stat_result) -> Stamp:
    """The stamp of a file of which this is known."""
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def settled(stamps: Iterable[Stamp | None]) -> bool:
    """Whether all that was stamped is so old that whatever changes it from now on changes its stamp."""
    latest = time.time_ns() - int(SETTLED * 1e9)
    return all(one is None or max(one[2:]) <= latest for one in stamps)


def stamps_of(report: Path) -> dict[str, Stamp | None]:
    """Stamps of all that the entry of a report.json is made of, but the single thumbnails: of these, the folders'.

    Among them are places at which nothing is yet.
    """
    return {os.path.abspath(path): stamp(path, follow=path is report) for path in _places(report)}


def unchanged(stamps: Iterable[tuple[str, Stamp | None]]) -> bool:
    """Whether everything is as it was stamped; a report.json comes first."""
    return all(stamp(path, follow=i == 0) == was for i, (path, was) in enumerate(stamps))


def run_folders(report: Path) -> tuple[Path, ...]:
    """Where a report's run.json and its description may lie: beside it, and above a folder called `report`."""
    folder = report.parent
    return (folder, folder.parent) if folder.name == "report" else (folder,)


def _places(report: Path) -> Iterator[Path]:
    yield report
    for folder in run_folders(report):
        yield from (folder / name for name in ("run.json", *NAMES))
        yield from _listed(folder / "sheets")
        for place in _listed(folder / "lora"):
            yield from (place, place / "loss.csv")
    thumbnails = report.parent / "thumbnails"
    yield thumbnails
    for role in ("outputs", "references"):
        yield from _listed(thumbnails / role)


def _listed(folder: Path) -> Iterator[Path]:
    """A folder, and what lies in it."""
    yield folder
    if folder.is_dir() and not folder.is_symlink():
        yield from sorted(folder.iterdir())
