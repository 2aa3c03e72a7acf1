"""What was handed over and is not on the board, each in one line: nothing disappears without a word."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from leaderboard.reading.reports import Report

_SHOWN = 20  # lines


def distinct(reports: Iterable[Report]) -> tuple[list[Report], list[tuple[Report, Report]]]:
    """Those that differ in report or description, and of the others (left out, the one that stands for it).

    Of the same ones that with most beside it stays, whatever the order they come in.
    """
    same: dict[str, list[Report]] = {}
    for report in reports:
        same.setdefault(report.identity, []).append(report)
    best = {identity: max(those, key=lambda report: (report.beside, report.inputs)) for identity, those in same.items()}
    left = [(one, best[one.identity]) for those in same.values() for one in those if one is not best[one.identity]]
    return list(best.values()), left


def lines(kept: Sequence[Report], left: Sequence[tuple[Report, Report]]) -> Iterator[str]:
    """A line for every report that is left out, and for everything beside the kept ones that is not shown."""
    found = [*_of_left(left), *(line for report in kept for line in report.unsaid)]
    yield from found[:_SHOWN]
    if len(found) > _SHOWN:
        yield f"and {len(found) - _SHOWN} more like these"


def _of_left(left: Sequence[tuple[Report, Report]]) -> Iterator[str]:
    for report, instead in left:
        if report.path.resolve() != instead.path.resolve():
            what = "the same report and description as"
            yield f"{report.path}: left out, {what} {instead.path}; to show both, give it an entry.yaml of its own"
