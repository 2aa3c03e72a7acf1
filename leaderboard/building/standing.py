"""Which entries have all their thumbnails in a site, as the build that put them there noted it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from leaderboard.building.marker import MARKER, Marker
from leaderboard.building.thumbnails import FOLDER
from leaderboard.reading.notes import Notes
from leaderboard.reading.reports import Report
from leaderboard.reading.stamps import stamp


def standing(notes: Notes, folder: Path, reports: Iterable[Report]) -> frozenset[str]:
    """`inputs` of the entries that a site has, where all of them stay and it is as it was left; else none."""
    noted = notes.site()
    try:
        if noted["marker"] != _digest((folder / MARKER).read_bytes()) or noted["thumbnails"] != _stamp(folder):
            return frozenset()
        entries = frozenset(noted["entries"])
    except (OSError, KeyError, TypeError):
        return frozenset()
    return entries if entries <= {report.inputs for report in reports} else frozenset()


def note(notes: Notes, folder: Path, marker: Marker, reports: Sequence[Report]) -> None:
    """Note that the site which `marker` describes has the thumbnails of these reports."""
    value = {
        "marker": _digest(marker.to_bytes()),  # not that of the file: another build may have come after this one
        "thumbnails": _stamp(folder),
        "entries": [report.inputs for report in reports],
    }
    notes.keep_site(value, [report.path for report in reports])


def _stamp(folder: Path) -> list[int] | None:
    found = stamp(folder / FOLDER)
    return None if found is None else [*found]


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
