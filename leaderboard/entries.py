"""Reports -> rows in sections, ranked where those of a section may be compared with each other."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from leaderboard.reports import Report

RANKED, INCOMPLETE, NOT_COMPARABLE = "ranked", "incomplete", "not comparable"
_ORDER = (RANKED, INCOMPLETE, NOT_COMPARABLE)
_TOY = "toy weights"  # what the evaluator's reason for them begins with


@dataclass(frozen=True)
class Row:
    """One entry on the board. `title` is its name, made distinct; `slug` is safe as a file name.

    `tied`: another entry has the same rank. `rank_range` holds the best and the worst rank that the 95 % intervals of
    Final allow: those whose intervals overlap may stand in either order.
    """

    rank: int | None
    title: str
    slug: str
    reasons: tuple[str, ...]
    report: Report
    tied: bool = False
    rank_range: tuple[int, int] | None = None

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
    """What a site shows. `language` is that of its pages before a reader chooses another: "en" or "zh"."""

    title: str
    sections: tuple[Section, ...]
    language: str = "en"


def rank_reports(reports: Iterable[Report]) -> list[Section]:
    """Sort reports into sections; the order they come in does not matter, the same one twice counts once.

    Equal Finals share a rank, and the next rank is left out. What is not comparable with the contest is ranked among
    those that were scored alike and have the same reasons, such as the same toy weights; what is incomplete is not.
    """
    unique = list({report.digest: report for report in reports}.values())
    names = Counter(report.name for report in unique)
    groups: dict[tuple[int, str, str, str, str, tuple[str, ...]], list[Report]] = {}
    for report in unique:
        same = (report.contest, report.profile, report.references_id, report.weights_id)
        status = _status(report)
        key = (_ORDER.index(status), *same, _reasons(report) if status == NOT_COMPARABLE else ())
        groups.setdefault(key, []).append(report)
    sections = []
    for key in sorted(groups):
        group = sorted(groups[key], key=lambda report: (-_final(report), report.name, report.digest))
        finals = [_final(report) for report in group]
        ranked = _ORDER[key[0]] != INCOMPLETE
        ranges = _rank_ranges(group) if ranked else [None] * len(group)
        rows = [
            Row(
                rank=finals.index(_final(report)) + 1 if ranked else None,
                title=report.name if names[report.name] == 1 else f"{report.name} · {report.digest[:6]}",
                slug=_slug(report),
                reasons=_reasons(report),
                report=report,
                tied=ranked and finals.count(_final(report)) > 1,
                rank_range=rank_range,
            )
            for report, rank_range in zip(group, ranges)
        ]
        sections.append(Section(_ORDER[key[0]], *key[1:], tuple(rows), _section_slug(_ORDER[key[0]], *key[1:])))
    return sections


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


def _slug(report: Report) -> str:
    """A file name that any disk takes: the name's plain letters, and enough of the hash to be alone."""
    return "-".join(part for part in (_plain(report.name, 40), report.digest[:10]) if part)
