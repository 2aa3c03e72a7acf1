"""Find reports in folders that hold many."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from leaderboard.reports import REPORT
from leaderboard.site import MARKER
from submission.errors import UserError

_DEEPEST = 5  # folders below the one that was named
_PASSED_OVER = {"thumbnails", "images", "lora", "node_modules"}


def find_reports(paths: Iterable[Path]) -> list[Path]:
    """Every report.json that the paths name or hold, each once, in the order of the paths.

    A path is a report.json, a report folder, a run folder, or a folder that holds such folders. A folder with a report
    is not searched further; links, hidden folders and sites of ours are passed over. UserError: one of them has none.
    """
    found: dict[Path, None] = {}
    for path in paths:
        here = [path] if not path.is_dir() else list(_below(path, 0))
        if not here:
            raise UserError(f"{path}: no {REPORT} in it or below; make one with: jdart-eval")
        found.update(dict.fromkeys(here))
    return list(found)


def _below(folder: Path, depth: int) -> Iterator[Path]:
    for report in (folder / REPORT, folder / "report" / REPORT):
        if report.is_file():
            yield report
            return
    if depth == _DEEPEST or (folder / MARKER).exists():
        return
    with os.scandir(folder) as entries:
        names = sorted(
            entry.name
            for entry in entries
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".") and entry.name not in _PASSED_OVER
        )
    for name in names:
        yield from _below(folder / name, depth + 1)
