"""See when what a site is built from has changed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from contest.errors import UserError
from leaderboard.reading.stamps import Stamp, stamps_of
from leaderboard.search import find_reports

Snapshot = dict[str, Stamp]


def snapshot(sources: Iterable[Path]) -> Snapshot:
    """Stamps of all that matters; equal ones mean that nothing has changed.

    Of thumbnails only the folders are looked at: a file that is written anew, as the evaluator does it, changes its
    folder.
    """
    found: Snapshot = {}
    for source in sources:
        try:
            reports = find_reports([source])
        except (UserError, OSError):  # gone, or none in it yet
            continue
        for report in reports:
            found.update((path, one) for path, one in stamps_of(report).items() if one is not None)
    return found
