"""Reports -> rows in sections, ranked where those of a section may be compared with each other."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Optional

from leaderboard.reading.left_out import distinct
from leaderboard.reading.reports import Report

RANKED, INCOMPLETE, NOT_COMPARABLE = "ranked", "incomplete", "not comparable"
_ORDER = (RANKED, INCOMPLETE, NOT_COMPARABLE)
_TWINS = 5  # shown of those with the same pictures
_TOY = "toy weights"  # what the evaluator's reason for them begins with


@dataclass(frozen=True)
class Row:
    """One entry on the board. `title` is its name, made distinct; `slug` is safe as a file name.

    `tied`: another entry has the same rank. `rank_range` holds the best and the worst rank that the 95 % intervals of
    Final allow: those whose intervals overlap may stand in either order. `twins` are (title, page) of others with the
    very same pictures, and `more_twins` how many there are beyond these.
    """

    rank: int | None
    title: str
    slug: str
    reasons: tuple[str, ...]
    report: Report
    tied: bool = False
    rank_range: tuple[int, int] | None = None
    twins: tuple[tuple[str, str], ...] = ()
    more_twins: int = 0

    @property
    def page(self) -> str:
        """The entry's page, relative to the site."""
        return f"entries/{self.slug}.html"

    @property
    def toy(self) -> bool:
        """Scored with toy weights."""
        return any(reason.startswith(_TOY) for reason in self.reasons)


@dataclass(frozen=True)
class Section:
    """Entries of one contest, profile, set of references and set of weights, best first.

    `reasons` say why none of them may stand beside the contest's own scores; they may still beside each other.
    `slug` names the ranking in file names, the same in every build.
    """

    status: str
    contest: str
    profile: str
    references_id: str
    weights_id: str
    reasons: tuple[str, ...]
    rows: tuple[Row, ...]
    slug: str = ""

    @property
    def toy(self) -> bool:
        """Whether all of its entries were scored with toy weights, as one set of weights makes it."""
        return all(row.toy for row in self.rows)


@dataclass(frozen=True)
class Board:
    """What a site shows. `language` is that of its pages before a reader chooses another: "en" or "zh".

    `home` is a page beside the site's own, such as an event's standing, to which they lead.
    """

    title: str
    sections: tuple[Section, ...]
    language: str = "en"
    home: Optional[str] = None


def rank_reports(reports: Iterable[Report]) -> list[Section]:
    """Sort reports into sections; the order they come in does not matter, the same one twice counts once.

    The same one is that which has the same report and the same description.

    Equal Finals share a rank, and the next rank is left out. What is not comparable with the contest is ranked among
    those that were scored alike and have the same reasons, such as the same toy weights; what is incomplete is not.
    """
    unique, _ = distinct(reports)
    titles, slugs = _titles(unique), _slugs(unique)
    groups: dict[tuple[int, str, str, str, str, tuple[str, ...]], list[Report]] = {}
    for report in unique:
        same = (report.contest, report.profile, report.references_id, report.weights_id)
        status = _status(report)
        key = (_ORDER.index(status), *same, _reasons(report) if status == NOT_COMPARABLE else ())
        groups.setdefault(key, []).append(report)
    sections = []
    for key in sorted(groups):
        group = sorted(groups[key], key=lambda report: (-_final(report), report.name, report.digest, report.identity))
        finals = [_final(report) for report in group]
        often = Counter(finals)
        first: dict[float, int] = {}  # Final -> the rank of the first that has it
        for place, final in enumerate(finals, 1):
            first.setdefault(final, place)
        ranked = _ORDER[key[0]] != INCOMPLETE
        ranges = _rank_ranges(group) if ranked else [None] * len(group)
        rows = [
            Row(
                rank=first[final] if ranked else None,
                title=titles[report.identity],
                slug=slugs[report.identity],
                reasons=_reasons(report),
                report=report,
                tied=ranked and often[final] > 1,
                rank_range=rank_range,
            )
            for report, final, rank_range in zip(group, finals, ranges)
        ]
        sections.append(Section(_ORDER[key[0]], *key[1:], tuple(rows), _section_slug(_ORDER[key[0]], *key[1:])))
    return _with_twins(sections)


def _rank_ranges(group: Sequence[Report]) -> list[tuple[int, int] | None]:
    """For each report the ranks that the intervals allow, None where it has no interval. A Final alone is a point."""
    ends = [report.interval if report.interval is not None else (_final(report),) * 2 for report in group]
    lows, highs = sorted(low for low, _ in ends), sorted(high for _, high in ends)
    return [
        # above are those whose lower end is higher; and whose higher end is lower stays below
        (1 + len(lows) - bisect_right(lows, high), len(highs) - bisect_left(highs, low))
        if report.interval is not None
        else None
        for report, (low, high) in zip(group, ends)
    ]


def _status(report: Report) -> str:
    if not report.complete:
        return INCOMPLETE
    return RANKED if report.comparable else NOT_COMPARABLE


def _final(report: Report) -> float:
    final = report.scores["final"]
    return float("-inf") if final is None else final


def _reasons(report: Report) -> tuple[str, ...]:
    missing = () if report.complete else ("not every picture of the contest was scored",)
    unsaid = ("the evaluator says so",) if not report.comparable and not report.reasons else ()
    return (*missing, *report.reasons, *unsaid)


def _section_slug(status: str, contest: str, profile: str, references: str, weights: str, why: tuple[str, ...]) -> str:
    """The plain letters of all that sets rankings apart, and a hash of all of it."""
    digest = sha256(repr((status, contest, profile, references, weights, why)).encode()).hexdigest()[:6]
    plain = [_plain(part, 20) for part in (contest, profile, references, weights)]
    return "-".join(part for part in (*plain, digest) if part)


def _plain(text: str, longest: int) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:longest].strip("-")


def _titles(reports: Sequence[Report]) -> dict[str, str]:
    """Identity -> the entry's name; some of a hash tells those of one name apart."""
    names = Counter(report.name for report in reports)
    named = {
        report.identity: report.name if names[report.name] == 1 else f"{report.name} · {report.digest[:6]}"
        for report in reports
    }
    return _apart(named, " · ", 6)


def _slugs(reports: Sequence[Report]) -> dict[str, str]:
    """Identity -> a file name that any disk takes: the name's plain letters, and enough of the hash to be alone."""
    named = {
        report.identity: "-".join(part for part in (_plain(report.name, 40), report.digest[:10]) if part)
        for report in reports
    }
    return _apart(named, "-", 10)


def _apart(named: Mapping[str, str], joint: str, digits: int) -> dict[str, str]:
    """Identity -> name, where several have one name with some of the identity: copies of one report."""
    often = Counter(named.values())
    return {one: name if often[name] == 1 else f"{name}{joint}{one[:digits]}" for one, name in named.items()}


def _with_twins(sections: Sequence[Section]) -> list[Section]:
    """The sections with rows that know of the others with the same pictures."""
    alike: dict[str, list[Row]] = {}
    for row in (row for section in sections for row in section.rows):
        if row.report.sha256 is not None:
            alike.setdefault(row.report.sha256, []).append(row)

    def told(row: Row) -> Row:
        others = [one for one in alike.get(str(row.report.sha256), ())[: _TWINS + 1] if one is not row][:_TWINS]
        if not others:
            return row
        more = len(alike[str(row.report.sha256)]) - 1 - len(others)
        return replace(row, twins=tuple((one.title, one.page) for one in others), more_twins=more)

    return [replace(section, rows=tuple(map(told, section.rows))) for section in sections]
