"""CSV files: for people who open them in a spreadsheet, and plain ones for other programs."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

# Excel reads a CSV without this mark in the code page of its Windows, and Chinese names become others
MARK = b"\xef\xbb\xbf"
# Spreadsheets take the wide ones too. With apostrophes before it, text gets one more, so that it can be read back.
_FORMULA = re.compile(r"^'*[=+\-@＝＋－＠\t\r]")


def to_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """A table as UTF-8 with a byte order mark; pandas and Python's utf-8-sig read it.

    Text that a spreadsheet would take for a formula starts with an apostrophe. Names that are no Unicode are escaped.
    """
    return MARK + to_plain_csv(header, ([_quoted(value) for value in row] for row in rows))


def to_plain_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """The same table for other programs: no mark, and text as it is."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    # no -0.0
    writer.writerows([value + 0.0 if isinstance(value, float) else value for value in row] for row in rows)
    return stream.getvalue().encode("utf-8", "backslashreplace")


def from_quoted(text: str) -> str:
    """A cell's text before `to_csv`."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def _quoted(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value
