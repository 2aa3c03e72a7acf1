"""The whole way: reports in, a site on disk."""

from __future__ import annotations

import gc
import hashlib
import logging
import os
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from contest.disk.writable import require_folder
from contest.errors import UserError
from leaderboard.building.marker import MARKER, About, read_marker
from leaderboard.building.site import Before, Page, publish
from leaderboard.building.standing import note, standing
from leaderboard.building.thumbnails import Thumbnails
from leaderboard.entries import Board, Section, rank_reports
from leaderboard.reading.gather import Overwritten, read_reports
from leaderboard.reading.left_out import distinct, lines
from leaderboard.reading.notes import Notes
from leaderboard.reading.taker import NAME
from leaderboard.search import find_reports
from leaderboard.text import clean

_log = logging.getLogger(__name__)


def build_site(
    reports: Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    title: str = "Leaderboard",
    force: bool = False,
    language: str = "en",
    home: str | None = None,
) -> list[Section]:
    """Rank the reports and write the site to `out`; equal reports give equal bytes. Returns the sections.

    A report is a report.json, its folder, a run folder, or a folder that holds many of them. What has not changed since
    the last build is not made again. `home` is a page beside them, to which they lead.

    UserError: one that is not a report, none at all, or `out` holding something that is not a site of ours (`force`
    keeps that and writes beside it).
    """
    sources = [Path(path) for path in reports]
    if not sources:
        raise UserError("no reports; give report.json files, report folders or run folders")
    return _build(sources, Path(out), About(title, language, home=home), force)


def add_to_site(
    site: str | os.PathLike[str], reports: Iterable[str | os.PathLike[str]] = (), forget: bool = False
) -> list[Section]:
    """Build a site again from the sources it was built from, and further reports. Returns the sections.

    Where there are further ones, those of before are not read again while their documents are the same, and the folders
    of their thumbnails. Without, every file is looked at, as `build_site` does.

    UserError: not a site of ours, or a source is gone; with `forget` such sources are left out from now on.
    """
    folder = Path(site)
    about = _about(folder)
    sources = [folder.resolve() / source for source in about.sources]
    gone = [source for source in sources if not source.exists()]
    if gone and not forget:
        names = ", ".join(os.path.normpath(source) for source in gone[:5]) + (" and others" if len(gone) > 5 else "")
        raise UserError(f"{folder}: its sources are gone: {names}; bring them back, or leave them out with --forget")
    kept = [Path(os.path.normpath(source)) for source in sources if source not in gone]
    further = [Path(path) for path in reports]
    return _build([*kept, *further], folder, about, trusted=bool(further))


def serve_site(site: Path, say: Callable[[str], object], port: int = 0, stop: threading.Event | None = None) -> None:
    """Bring a site up to date, then serve it until Ctrl-C and build it again whenever a source changes."""
    from leaderboard.building.serve import serve

    add_to_site(site)
    sources = [site.resolve() / source for source in _about(site).sources]
    serve(site, sources, lambda: add_to_site(site), say, port, stop)


def serve_reports(
    reports: Sequence[Path],
    say: Callable[[str], object],
    port: int = 0,
    title: str = "Leaderboard",
    language: str = "en",
    stop: threading.Event | None = None,
) -> None:
    """Serve the site of reports from a temporary folder, as `serve_site` does."""
    from leaderboard.building.serve import serve

    with tempfile.TemporaryDirectory(prefix="jdart-board-") as folder:
        site = Path(folder) / "site"
        build_site(reports, site, title, language=language)
        serve(site, reports, lambda: build_site(reports, site, title, language=language), say, port, stop)


def _about(folder: Path) -> About:
    """How a site was built. UserError: it is none of ours, or was built before that was noted."""
    if not (folder / MARKER).is_file():
        raise UserError(f"{folder}: not a site of jdart-board; make one with: jdart-board build REPORT... -o {folder}")
    about = read_marker(folder).about
    if not about.sources:
        raise UserError(f"{folder}: does not say what it was built from; build it again with: jdart-board build")
    return about


@contextmanager
def _without_collector() -> Iterator[None]:
    """Hold Python's search for circular garbage, which a board's million small objects set off again and again."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


@_without_collector()
def _build(
    sources: Sequence[Path], out: Path, about: About, force: bool = False, trusted: bool = False
) -> list[Section]:
    from leaderboard.i18n import catalogue

    catalogue(about.language)
    before = Before.of(out, force)  # what is wrong with the place is said before the work
    require_folder(before.folder.parent)
    found = find_reports(sources, partial(_log.warning, "%s"))
    named = tuple(sorted({os.path.relpath(source.resolve(), before.folder) for source in sources}))
    about = replace(about, title=clean(about.title, NAME), sources=named)
    try:
        return _publish(found, before, about, trusted)
    except Overwritten as error:
        _log.info("%s: every file is looked at", error)
        return _publish(found, before, about, trusted=False)


def _publish(paths: Sequence[Path], before: Before, about: About, trusted: bool) -> list[Section]:
    from leaderboard.pages import site_pages

    folder, notes = before.folder, Notes.of_site(before.folder)
    kept, left = distinct(read_reports(paths, notes, trusted))
    sections = rank_reports(kept)
    board = Board(about.title, tuple(sections), about.language, about.home)
    there = standing(notes, folder, kept) if trusted else frozenset()
    thumbnails = Thumbnails()
    for report in kept:
        if report.inputs not in there:
            thumbnails.take_all(report)
    pages = (page for part in (site_pages(board, thumbnails, before), _data(board)) for page in part)
    note(notes, folder, publish(before, pages, thumbnails.sources, about, whole=not there).marker, kept)
    for line in lines(kept, left):
        _log.warning("%s", line)
    return sections


def _data(board: Board) -> Iterator[Page]:
    """board.json, board.csv, and the schema of the first."""
    from leaderboard.reading.records import as_csv, as_json, as_records, schema_bytes

    records = as_records(board.sections)
    for path, data in (
        ("board.json", as_json(board.title, records)),
        ("board.csv", as_csv(records)),
        ("board.schema.json", schema_bytes()),
    ):
        yield Page(path, hashlib.sha256(data).hexdigest(), lambda data=data: data)  # type: ignore[misc]
