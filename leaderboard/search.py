"""Find reports in folders that hold many."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from contest.errors import UserError
from leaderboard.building.site import MARKER
from leaderboard.reading.meta import NAMES
from leaderboard.reading.reports import REPORT
from leaderboard.reading.run import RUN

_DEEPEST = 5  # folders below the one that was named
_PASSED_OVER = {"thumbnails", "images", "lora", "node_modules"}


def find_reports(paths: Iterable[Path], say: Callable[[str], object] = lambda line: None) -> list[Path]:
    """Every report.json that the paths name or hold, each once, in the order of the paths.

    A path is a report.json, a report folder, a run folder, or a folder that holds such folders. A folder with a report
    is not searched further; links, hidden folders and sites of ours are passed over. What looks like an entry and is
    none is told to `say`, in one line each. UserError: one of the paths has no report.
    """
    found: dict[Path, None] = {}
    for path in paths:
        here = [path] if not path.is_dir() else list(_below(path, 0, say))
        if not here:
            raise UserError(f"{path}: no {REPORT} in it or below; make one with: jdart-eval")
        found.update(dict.fromkeys(here))
    return list(found)


def _below(folder: Path, depth: int, say: Callable[[str], object]) -> Iterator[Path]:
    places = _reports_in(folder)
    if places:
        yield places[0]
        for other in places[1:]:
            say(f"{other}: left out, {places[0]} goes before it; keep one of them")
        return
    if (folder / MARKER).exists():
        return
    for line in _without_report(folder):
        say(line)
    names = []
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.is_dir() and entry.name not in _PASSED_OVER:
                why = _passed_over(entry, depth)
                if why is None:
                    names.append(entry.name)
                elif _reports_in(folder / entry.name):
                    say(f"{folder / entry.name}: left out, {why}; give its own path to have it")
    for name in names:
        yield from _below(folder / name, depth + 1, say)


def _reports_in(folder: Path) -> list[Path]:
    places = (os.path.join(folder, REPORT), os.path.join(folder, "report", REPORT))
    return [Path(place) for place in places if os.path.isfile(place)]


def _passed_over(entry: os.DirEntry[str], depth: int) -> str | None:
    """Why a folder is not searched, or None."""
    if entry.is_symlink():
        return "it is a link"
    if entry.name.startswith("."):
        return "it is hidden"
    return f"it lies more than {_DEEPEST} folders deep" if depth == _DEEPEST else None


def _without_report(folder: Path) -> Iterator[str]:
    """A line for what makes a folder without a report look like an entry."""
    for name in NAMES:
        if (folder / name).is_file():
            yield f"{folder / name}: describes no entry, there is no {REPORT} beside it"
    if (folder / RUN).is_file():
        yield f"{folder}: left out, a run that has not been scored; score it with: jdart-eval score {folder}"
    if os.path.lexists(folder / REPORT):
        yield f"{folder / REPORT}: left out, it is no file, or a link that leads nowhere"
