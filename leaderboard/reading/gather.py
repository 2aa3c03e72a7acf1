"""The reports of a board: read, or where nothing of an entry has changed since it was read, taken from the notes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from contest.errors import UserError
from leaderboard.reading.found import Source
from leaderboard.reading.notes import Note, Notes
from leaderboard.reading.reports import Meta, Report, Whole, read_report
from leaderboard.reading.stamps import stamps_of

_SHOWN = 5  # refused reports in one message
_FIELDS = [field.name for field in fields(Report) if field.name not in ("path", "whole")]


class Overwritten(Exception):
    """A thumbnail was written over where it lies, which only a look at every file finds out."""


def read_reports(paths: Iterable[Path], notes: Notes | None = None, trusted: bool = False) -> list[Report]:
    """The reports in these files. With `trusted` an entry whose documents and folders are as they were is not read.

    UserError: some are not what the evaluator writes; it names them all, or the first of many. `whole()` of a report
    that was not read raises `Overwritten` where its files are not what they were after all.
    """
    notes = Notes() if notes is None else notes
    read, problems = [], []
    for path in paths:
        try:
            note = notes.of(path) if trusted else Note()
            read.append(_recalled(path, note.brief, notes) if note.brief and note.holds() else _read(path, notes))
        except UserError as error:
            problems.append(str(error))
    if problems:
        more = f"; and {len(problems) - _SHOWN} more reports" if len(problems) > _SHOWN else ""
        raise UserError("; ".join(problems[:_SHOWN]) + more)
    return read


def _read(path: Path, notes: Notes) -> Report:
    stamps = stamps_of(path)  # before it is read: what changes meanwhile is read again the next time
    digests = notes.digests(path)
    report = read_report(path, digests)
    notes.keep(path, Note(_brief(report), stamps), digests)
    return report


def _brief(report: Report) -> dict[str, Any]:
    """All of a report but what `whole()` gives, as JSON has it."""
    brief = {name: getattr(report, name) for name in _FIELDS}
    return {**brief, "meta": asdict(report.meta), "preview": [[*source] for source in report.preview]}


def _recalled(path: Path, brief: Mapping[str, Any], notes: Notes) -> Report:
    """The report that `_brief` was made of; the rest of it is read when somebody asks for it."""
    meta, interval = brief["meta"], brief["interval"]
    return Report(
        **{
            **brief,
            "path": path,
            "reasons": tuple(brief["reasons"]),
            "interval": None if interval is None else tuple(interval),
            "meta": Meta(**{**meta, "tags": tuple(meta["tags"])}),
            "preview": tuple(Source(*source) for source in brief["preview"]),
            "referenced": tuple(brief["referenced"]),
            "beside": tuple(brief["beside"]),
            "unsaid": tuple(brief["unsaid"]),
            "whole": _later(path, brief["inputs"], notes),
        }
    )


def _later(path: Path, inputs: str, notes: Notes) -> Callable[[], Whole]:
    @lru_cache
    def whole() -> Whole:
        report = _read(path, notes)
        if report.inputs != inputs:
            raise Overwritten(path)
        return report.whole()

    return whole
