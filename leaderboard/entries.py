"""Reports -> rows in sections, ranked where those of a section may be compared with each other."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from leaderboard.metrics import SCORES
from leaderboard.reports import Report

if TYPE_CHECKING:
    import pandas as pd

RANKED, INCOMPLETE, NOT_COMPARABLE = "ranked", "incomplete", "not comparable"
_ORDER = (RANKED, INCOMPLETE, NOT_COMPARABLE)
_FORMULA = re.compile(r"^[=+\-@\t\r]")


@dataclass(frozen=True)
class Row:
    """One entry on the board. `title` is its name, made distinct; `slug` is safe as a file name."""

    rank: int | None
    title: str
    slug: str
    reasons: tuple[str, ...]
    report: Report

    @property
    def page(self) -> str:
        """The entry's page, relative to the site."""
        return f"entries/{self.slug}.html"


@dataclass(frozen=True)
class Section:
    """Entries of one contest, profile, set of references and set of weights, best first.

    `reasons` say why none of them may stand beside the contest's own scores; they may still beside each other.
    """

    status: str
    contest: str
    profile: str
    references_id: str
    weights_id: str
    reasons: tuple[str, ...]
    rows: tuple[Row, ...]


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
        rows = [
            Row(
                rank=finals.index(_final(report)) + 1 if _ORDER[key[0]] != INCOMPLETE else None,
                title=report.name if names[report.name] == 1 else f"{report.name} · {report.digest[:6]}",
                slug=_slug(report),
                reasons=_reasons(report),
                report=report,
            )
            for report in group
        ]
        sections.append(Section(_ORDER[key[0]], *key[1:], tuple(rows)))
    return sections


def as_records(sections: Iterable[Section]) -> list[dict[str, Any]]:
    """One flat record for each entry, for board.json and board.csv."""
    return [
        {
            "status": section.status,
            "contest": section.contest,
            "profile": section.profile,
            "references": section.references_id,
            "weights": section.weights_id,
            "rank": row.rank,
            "name": row.title,
            **{metric.key: row.report.scores[metric.key] for metric in SCORES},
            "reasons": list(row.reasons),
            "sha256": row.report.sha256,
            "page": row.page,
        }
        for section in sections
        for row in section.rows
    ]


def as_table(sections: Iterable[Section]) -> pd.DataFrame:
    """The records as a table; text that a spreadsheet would take for a formula is quoted."""
    import pandas as pd

    table = pd.DataFrame(as_records(sections))
    table["rank"] = table["rank"].astype("Int64")
    table["reasons"] = table["reasons"].map("; ".join)
    for column in ("contest", "profile", "name", "reasons", "sha256"):
        table[column] = table[column].map(lambda text: f"'{text}" if _FORMULA.match(str(text)) else text)
    return table


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


def _slug(report: Report) -> str:
    """A file name that any disk takes: the name's plain letters, and enough of the hash to be alone."""
    plain = re.sub(r"[^a-z0-9]+", "-", report.name.lower())[:40].strip("-")
    return "-".join(part for part in (plain, report.digest[:10]) if part)
