"""CSV files that people open in a spreadsheet."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

# Excel reads a CSV without this mark in the code page of its Windows, and Chinese names become others
MARK = b"\xef\xbb\xbf"
_FORMULA = re.compile(r"^[=+\-@＝＋－＠\t\r]")  # spreadsheets take the wide ones too


def to_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """A table as UTF-8 with a byte order mark; pandas and Python's utf-8-sig read it.

    Text that a spreadsheet would take for a formula starts with an apostrophe. Names that are no Unicode are escaped.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return MARK + stream.getvalue().encode("utf-8", "backslashreplace")


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return value + 0.0  # no -0.0
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value
