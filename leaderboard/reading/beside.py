"""What lies beside a report and is not shown, each in one line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from leaderboard.reading.meta import descriptions
from leaderboard.reading.stamps import run_folders


def unsaid(report: Path, pictures: int, found: int) -> Iterator[str]:
    """A line for each; `found` of a report's `pictures` have a thumbnail."""
    described = list(descriptions(run_folders(report)))
    for path in described[1:]:
        yield f"{path}: not read, {described[0]} describes the entry; keep one of them"
    for path in descriptions(run_folders(report), links=True):
        yield f"{path}: not read, it is a link; put the file itself there"
    if pictures > found and (report.parent / "thumbnails").is_dir():
        missing = pictures - found
        yield f"{report}: of {pictures} pictures {missing} have no thumbnail that is a picture; score it again"
