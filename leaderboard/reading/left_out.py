"""What was handed over and is not on the board, each in one line: nothing disappears without a word."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from leaderboard.reading.meta import descriptions
from leaderboard.reading.reports import Report, run_folders

_SHOWN = 20  # lines


def distinct(reports: Iterable[Report]) -> tuple[list[Report], list[tuple[Report, Report]]]:
    """Those that differ in report or description, and of the others (left out, the one that stands for it).

    Of the same ones that with most beside it stays, whatever the order they come in.
    """
    same: dict[str, list[Report]] = {}
    for report in reports:
        same.setdefault(report.identity, []).append(report)
    best = {identity: max(those, key=_richness) for identity, those in same.items()}
    left = [(one, best[one.identity]) for those in same.values() for one in those if one is not best[one.identity]]
    return list(best.values()), left


def notes(kept: Sequence[Report], left: Sequence[tuple[Report, Report]]) -> Iterator[str]:
    """A line for every report that is left out, and for everything beside the kept ones that is not shown."""
    lines = [*_of_left(left), *_of_kept(kept)]
    yield from lines[:_SHOWN]
    if len(lines) > _SHOWN:
        yield f"and {len(lines) - _SHOWN} more like these"


def _of_left(left: Sequence[tuple[Report, Report]]) -> Iterator[str]:
    for report, instead in left:
        if report.path.resolve() != instead.path.resolve():
            what = "the same report and description as"
            yield f"{report.path}: left out, {what} {instead.path}; to show both, give it an entry.yaml of its own"


def _of_kept(kept: Sequence[Report]) -> Iterator[str]:
    for report in kept:
        described = list(descriptions(run_folders(report.path)))
        for path in described[1:]:
            yield f"{path}: not read, {described[0]} describes the entry; keep one of them"
        for path in descriptions(run_folders(report.path), links=True):
            yield f"{path}: not read, it is a link; put the file itself there"
        pictures = sum(map(len, report.images.values()))
        missing = pictures - len(report.found.outputs)
        if missing and (report.path.parent / "thumbnails").is_dir():
            yield f"{report.path}: of {pictures} pictures {missing} have no thumbnail that is a picture; score it again"


def _richness(report: Report) -> tuple[bool, int, str]:
    found = report.found
    return report.run is not None, len(found.outputs) + len(found.references) + len(found.sheets), report.inputs
