"""What differs between two entries, as text for people and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby

from submission.diff.compare import (
    ADDED,
    CHANGED,
    REMOVED,
    REPACKED,
    SAME,
    Change,
    count_states,
    is_same,
    mean_difference,
)
from submission.telling.formats import printable

_NAMES_A_STYLE = 12  # keeps a style on one screen, however much differs in it
_WORDS = {
    CHANGED: "changed",
    ADDED: "added",
    REMOVED: "removed",
    REPACKED: "the same picture in another file",
    SAME: "the same",
}


def diff_json(a: str, b: str, changes: Sequence[Change]) -> str:
    """One JSON object: counts in all and by style, and every file that is not byte for byte the same."""
    value = {
        "schema_version": 1,
        "a": a,
        "b": b,
        "same": is_same(changes),
        **_summary(changes),
        "styles": {style: _summary(group) for style, group in _by_style(changes) if style is not None},
        "files": [asdict(change) for change in changes if change.state != SAME],
    }
    return json.dumps(value, indent=1, ensure_ascii=True)  # names may hold anything; a terminal gets ASCII


def diff_lines(a: str, b: str, changes: Sequence[Change]) -> Iterator[str]:
    """A paragraph for each style in which something differs, the largest differences first; then the whole."""
    for style, group in _by_style(changes):
        different = [change for change in group if change.state != SAME]
        if not different:
            continue
        yield f"{'entry' if style is None else f'style {printable(style)}'}: {_counts(group)}"
        for change in sorted(different, key=_rank)[:_NAMES_A_STYLE]:
            yield f"  {_line(change)}"
        if len(different) > _NAMES_A_STYLE:
            yield f"  ... and {len(different) - _NAMES_A_STYLE} more; --format json lists all"
    yield f"{printable(a)} -> {printable(b)}: {_counts(changes)}"


def _by_style(changes: Sequence[Change]) -> Iterator[tuple[str | None, list[Change]]]:
    ordered = sorted(changes, key=lambda change: (change.style is not None, str(change.style), change.path))
    for style, group in groupby(ordered, key=lambda change: change.style):
        yield style, list(group)


def _summary(changes: Sequence[Change]) -> dict[str, object]:
    return {"counts": count_states(changes), "mean_difference": mean_difference(changes)}


def _counts(changes: Sequence[Change]) -> str:
    counts = count_states(changes)
    words = [f"{counts[state]} {word}" for state, word in _WORDS.items() if counts[state] > 0]
    mean = mean_difference(changes)
    if mean is not None and counts[CHANGED] > 0:
        words.append(f"mean difference {mean:.2f} of 255")
    return ", ".join(words) if words else "no pictures"


def _rank(change: Change) -> tuple[int, float, str]:
    difference = float("inf") if change.difference is None else change.difference
    return list(_WORDS).index(change.state), -difference, change.path


def _line(change: Change) -> str:
    what = _WORDS[change.state]
    if change.difference is not None and change.state == CHANGED:
        what += f", mean difference {change.difference:.2f}"
    return f"{printable(change.path)}: {what}" + (f" ({printable(change.note)})" if change.note else "")
