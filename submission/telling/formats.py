"""Findings as text for people and as JSON for programs."""

from __future__ import annotations

import json
import unicodedata
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate, groupby
from typing import Any, Optional

from contest.definition import Contest
from contest.findings import CHECKS, ERROR, Finding, errors
from contest.names import printable
from contest.typed import to_schema

SCHEMA_VERSION = 1
SCREEN = 24  # rows, of a terminal that nobody has made larger
_NARROW = 20  # columns; in fewer nothing fits a screen, and the lines are folded as often as it takes
_NAMES_A_CODE = 6
_INDENTS = {"style": "", ERROR: "  ", "warning": "  ", "item": "    ", "hint": "    -> "}


@dataclass(frozen=True)
class Asked:
    """The contest that an entry was checked against."""

    name: str
    version: str
    styles: list[str]


@dataclass(frozen=True)
class Found:
    """One finding. `style` is the first folder of `path`, which is relative to the entry.

    `severity` is "error" or "warning".
    """

    code: str
    severity: str
    path: str
    style: Optional[str]
    title: str
    message: str
    hint: str


@dataclass(frozen=True)
class Findings:
    """What jdart-submit found out about one entry; it is good when `errors` is 0. `counts` maps codes to numbers."""

    path: str
    contest: Asked
    errors: int
    warnings: int
    counts: dict[str, int]
    findings: list[Found]


def findings_schema() -> dict[str, Any]:
    """The JSON Schema of `--format json`, published as `submission/telling/findings.schema.json`."""
    return to_schema(Findings, "Findings of jdart-submit", schema_version=SCHEMA_VERSION)


def as_json(path: str, contest: Contest, findings: Sequence[Finding]) -> str:
    """One JSON object with every finding; the order is stable."""
    value = Findings(
        path,
        Asked(contest.name, contest.version, list(contest.styles)),
        len(errors(findings)),
        len(findings) - len(errors(findings)),
        dict(sorted(Counter(one.code for one in findings).items())),
        [Found(one.code, one.severity, one.path, one.style, one.title, one.message, one.hint) for one in findings],
    )
    # names may hold anything; a terminal gets ASCII
    return json.dumps({"schema_version": SCHEMA_VERSION, **asdict(value)}, indent=1, ensure_ascii=True)


def as_lines(findings: Sequence[Finding], width: int, folder: str = "style") -> Iterator[tuple[str, str]]:
    """(role, line) pairs, grouped by style and code; roles are "style", "error", "warning", "item" and "hint".

    A style takes at most one screen of `width` columns, however many findings it has and however long they are. Below
    20 columns the lines are those of 20. `folder` is what a folder at the top is called.
    """
    width = max(width, _NARROW)
    for style, found in by_style(findings):
        where = "entry" if style is None else f"{folder} {printable(style)}"
        head = ("style", f"{where}: {_count(len(found), 'finding')}")
        groups = by_code(found)
        for names in range(_NAMES_A_CODE, -1, -1):
            lines = [head, *(line for group in groups for line in _group_lines(group, names, True))]
            if _rows(lines, width) <= SCREEN:
                break
        else:
            lines = [head, *(line for group in groups for line in _group_lines(group, 0, False))]
            if _rows(lines, width) > SCREEN:
                rest = ("item", "... and more codes; --format json lists all")
                lines = [*_fitting(lines, width, SCREEN - _rows([rest], width)), rest]
        yield from lines


def verdict(findings: Sequence[Finding]) -> str:
    """Good or not, and how many errors and warnings."""
    wrong = len(errors(findings))
    parts = [_count(wrong, "error") if wrong > 0 else "good"]
    if len(findings) > wrong:
        parts.append(_count(len(findings) - wrong, "warning"))
    return ", ".join(parts)


def by_style(findings: Sequence[Finding]) -> list[tuple[str | None, list[Finding]]]:
    """The findings of each style; first come those that are in none."""
    ordered = sorted(findings, key=lambda one: (one.style is not None, str(one.style)))
    return [(style, list(found)) for style, found in groupby(ordered, key=lambda one: one.style)]


def by_code(findings: Sequence[Finding]) -> list[list[Finding]]:
    """The findings of each code for which the same is to be done, errors first."""
    ordered = sorted(findings, key=lambda one: (one.severity != ERROR, one.code, one.hint, one.path))
    return [list(found) for _, found in groupby(ordered, key=lambda one: (one.code, one.hint))]


def _group_lines(found: Sequence[Finding], names: int, hint: bool) -> Iterator[tuple[str, str]]:
    """The lines of one code, with so many of its findings."""
    first = found[0]
    count = f" ({len(found)})" if len(found) > 1 else ""
    yield first.severity, f"{_INDENTS[first.severity]}{first.code} {CHECKS[first.code].title}{count}"
    for one in found[:names]:
        yield "item", f"{_INDENTS['item']}{printable(one.path)} {printable(one.message)}"
    if 0 < names < len(found):
        yield "item", f"{_INDENTS['item']}... and {len(found) - names} more; --format json lists all"
    if hint:
        yield "hint", f"{_INDENTS['hint']}{first.hint}"


def _rows(lines: Sequence[tuple[str, str]], width: int) -> int:
    """How many rows of a terminal the lines take, folded at `width`."""
    return sum(max(1, -(-_columns(line) // width)) for _, line in lines)


def _fitting(lines: Sequence[tuple[str, str]], width: int, rows: int) -> Sequence[tuple[str, str]]:
    """The first lines, as many as take so many rows; the heading is always among them."""
    ends = list(accumulate(_rows([line], width) for line in lines))
    return lines[: max(1, bisect_right(ends, rows))]


def _columns(text: str) -> int:
    """Chinese letters take two columns each, accents of their own none."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in ("W", "F") else 1 for c in text
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
