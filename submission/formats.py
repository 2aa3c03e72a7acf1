"""Findings as text for people and as JSON for programs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from submission.checks import CHECKS, Finding
from submission.contest import Contest

_NAMES_A_CODE = 6  # keeps a style's findings on about one screen, however many there are


def as_json(path: str, contest: Contest, findings: Sequence[Finding]) -> str:
    """One JSON object with every finding; the order is stable."""
    value = {
        "schema_version": 1,
        "path": path,
        "contest": {"name": contest.name, "styles": list(contest.styles)},
        "counts": dict(sorted(Counter(one.code for one in findings).items())),
        "findings": [
            {"code": one.code, "path": one.path, "title": one.title, "message": one.message, "hint": one.hint}
            for one in findings
        ],
    }
    return json.dumps(value, indent=1, ensure_ascii=True)  # names may hold anything; a terminal gets ASCII


def as_lines(findings: Sequence[Finding]) -> Iterator[tuple[str, str]]:
    """(role, line) pairs, grouped by style and code; roles are "style", "code", "item" and "hint"."""
    ordered = sorted(findings, key=lambda one: (one.style is not None, str(one.style), one.code, one.path))
    for style, of_style in groupby(ordered, key=lambda one: one.style):
        group = list(of_style)
        where = "entry" if style is None else f"style {printable(style)}"
        yield "style", f"{where}: {len(group)} finding{'s' if len(group) > 1 else ''}"
        for code, of_code in groupby(group, key=lambda one: one.code):
            same = list(of_code)
            yield "code", f"{code} {CHECKS[code].title}" + (f" ({len(same)})" if len(same) > 1 else "")
            for one in same[:_NAMES_A_CODE]:
                yield "item", f"{printable(one.path)} {printable(one.message)}"
            if len(same) > _NAMES_A_CODE:
                yield "item", f"... and {len(same) - _NAMES_A_CODE} more; --format json lists all"
            yield "hint", same[0].hint


def printable(text: str) -> str:
    """The text with what could steer a terminal shown as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
