"""Findings for GitHub Actions: annotations at the files, and the whole list in the step's summary.

Sources: docs.github.com, "Workflow commands for GitHub Actions"; escapes as in actions/toolkit, packages/core.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from contest.definition import Contest
from contest.findings import ERROR, Finding
from submission.telling.formats import by_code, by_style, printable, verdict

MOST_ANNOTATIONS = 10  # GitHub shows no more of one step
MOST_SUMMARY_BYTES = 1 << 20  # of one step's summary; GitHub drops a longer one whole
_NAMES = 6
_CUT = "\n{} more findings do not fit here; `--format json` lists all.\n"
_PLAIN = frozenset(" -./,;")  # with letters and digits, what means nothing to Markdown inside a line


def as_annotations(root: Path, findings: Sequence[Finding]) -> list[str]:
    """At most ten workflow commands, one for each style and code; the last one counts what is left.

    `root` is the entry, an archive or the folder that the findings' paths are relative to.
    """
    groups = [group for _, found in by_style(findings) for group in by_code(found)]
    groups.sort(key=lambda group: group[0].severity != ERROR)
    kept = groups if len(groups) <= MOST_ANNOTATIONS else groups[: MOST_ANNOTATIONS - 1]
    lines = [_annotation(root, group) for group in kept]
    left = groups[len(kept) :]
    if left:
        count = sum(map(len, left))
        title = _escape_property(f"{count} findings of {len(left)} more kinds")
        text = _escape("the step's summary lists all of them, and so does --format json")
        lines.append(f"::{left[0][0].severity} file={_escape_property(printable(str(root)))},title={title}::{text}")
    return lines


def as_markdown(root: Path, contest: Contest, findings: Sequence[Finding], room: int) -> str:
    """A table of all findings, in at most `room` bytes of UTF-8; what does not fit is counted."""
    text = f"## {_markdown(str(root))}: {verdict(findings)}\n\nContest {_markdown(contest.name)}\n"
    room -= len(text.encode()) + len(_CUT) + 20  # the digits of a number
    if room < 0:
        return ""  # earlier commands of the step have filled the summary
    parts = [text]
    left = len(findings)
    for piece, count in _table(findings):
        room -= len(piece.encode())
        if room < 0:
            break
        parts.append(piece)
        left -= count
    return "".join(parts) + (_CUT.format(left) if left > 0 else "")


def append_summary(path: Path, root: Path, contest: Contest, findings: Sequence[Finding]) -> None:
    """Append the table to the step's summary file, within what GitHub takes of all its commands together."""
    with open(path, "ab") as stream:
        room = MOST_SUMMARY_BYTES - os.fstat(stream.fileno()).st_size
        stream.write(as_markdown(root, contest, findings, room).encode())


def _annotation(root: Path, group: Sequence[Finding]) -> str:
    first = group[0]
    file = root / first.path if root.is_dir() else root
    count = f" ({len(group)})" if len(group) > 1 else ""
    where = "" if first.style is None else f"style {first.style}: "
    lines = [f"{printable(one.path)} {printable(one.message)}" for one in group[:_NAMES]]
    if len(group) > _NAMES:
        lines.append(f"... and {len(group) - _NAMES} more")
    properties = {"file": printable(str(file)), "title": printable(f"{where}{first.code} {first.title}{count}")}
    written = ",".join(f"{key}={_escape_property(value)}" for key, value in properties.items())
    return f"::{first.severity} {written}::" + _escape("\n".join([*lines, f"-> {first.hint}"]))


def _table(findings: Sequence[Finding]) -> Iterator[tuple[str, int]]:
    """Pieces of Markdown, and how many findings each holds. What to do comes first, so that no cut takes it away."""
    hints = sorted({(one.code, one.hint): one.title for one in findings}.items())
    if hints:
        yield "\n### What to do\n\n| code | | |\n|---|---|---|\n", 0
    for (code, hint), title in hints:
        yield f"| {code} | {_markdown(title)} | {_markdown(hint)} |\n", 0
    for style, found in by_style(findings):
        where = "The entry" if style is None else f"Style {_markdown(style)}"
        yield f"\n### {where}\n\n| code | file | what is wrong |\n|---|---|---|\n", 0
        for group in by_code(found):
            for one in group:
                yield f"| {one.code} {one.severity} | {_markdown(one.path)} | {_markdown(one.message)} |\n", 1


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C")


def _markdown(text: str) -> str:
    """The text as it is, in Markdown and inside a table: what could mean something there becomes an entity."""
    return "".join(c if c.isalnum() or c in _PLAIN else f"&#{ord(c)};" for c in printable(text))
