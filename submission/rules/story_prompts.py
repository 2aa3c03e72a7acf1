"""The prompts of a story: a CSV file with the columns `file` and `prompt`, as people's programs write such files."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence

from contest.disk.encodings import instead_of_utf8
from contest.entry.listing import Item
from contest.names import printable

_COLUMNS = ("file", "prompt")
_MOST_BYTES = 1 << 20  # a page of text a picture is far less
_SEPARATORS = (",", ";", "\t")  # of spreadsheets, by the country they are set to
_SAID = re.compile(r"\s*\"?sep=(.)\"?[,;\t]*\s*$")  # a first line that says so, which Excel writes and hides
_SHOWN = 60  # letters of a line in a message


def read_prompts(item: Item) -> list[tuple[str, str]]:
    """(file, prompt) of every row. ValueError says why it is not such a table; BadItem: its bytes cannot be had.

    A byte order mark, a line `sep=;`, semicolons or tabs, capitals and spaces in the heading, empty columns and rows,
    and a column of numbers without a heading are seen through.
    """
    if item.size > _MOST_BYTES:
        raise ValueError(f"has {item.size} bytes; a list of prompts has at most {_MOST_BYTES}")
    data = item.read()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"is {instead_of_utf8(error)}") from error
    lines = text.splitlines(keepends=True)
    first = next((number for number, line in enumerate(lines) if line.strip(",;\t \r\n")), None)
    if first is None:
        raise ValueError("is empty; it begins with the line: file,prompt")
    said = _SAID.match(lines[first])
    separators = _SEPARATORS if said is None else (said.group(1),)
    start = first if said is None else first + 1
    body = "".join(lines[start:])
    for separator in separators:
        found = _read_table(body, separator)
        if found is not None:
            return found
    shown = printable(next(iter(lines[start:]), "").strip()[:_SHOWN])
    raise ValueError(f"begins with the line {shown}, not with file,prompt")


def _read_table(text: str, separator: str) -> list[tuple[str, str]] | None:
    """The rows, or None where the heading is another one."""
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
        rows = [row for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        if separator != _SEPARATORS[0]:
            return None
        raise ValueError(f"is not valid CSV ({error})") from error
    names = [cell.strip().casefold() for cell in rows[0]] if rows else []
    named = [name for name in names if name]
    if not set(_COLUMNS) <= set(named):
        return None
    if len(named) > len(_COLUMNS):
        more = ", ".join(printable(name) for name in named if name not in _COLUMNS or named.count(name) > 1)
        raise ValueError(f"has more columns than file and prompt: {more[:_SHOWN]}; leave them out")
    at = [names.index(column) for column in _COLUMNS]
    return [_read_row(number, row, names, at) for number, row in enumerate(rows[1:], 1)]


def _read_row(number: int, row: Sequence[str], names: Sequence[str], at: Sequence[int]) -> tuple[str, str]:
    cells = [cell.strip() for cell in row]
    cells += [""] * (len(names) - len(cells))
    left = [cell for place, cell in enumerate(cells) if cell and place not in at]
    is_index = names[0] == "" and len(left) == 1 and cells[0].isdecimal()  # what pandas writes
    if left and not is_index:
        raise ValueError(
            f"has text outside the columns file and prompt in row {number}: {printable(left[0])[:_SHOWN]}; put prompts "
            "with a comma in quotes"
        )
    file, prompt = (cells[place] for place in at)
    return file, prompt
