"""Tables as pandas frames and back as CSV: text stays text ("00", "NA"), numbers are numbers."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contest.disk.spreadsheet import from_quoted, to_csv, to_plain_csv
from contest.errors import UserError, first_line, needs

if TYPE_CHECKING:
    from pandas import DataFrame

TEXT = "object"
Columns = Mapping[str, str]  # name -> pandas' dtype
_DTYPES = {
    "float": "float64",
    "Optional[float]": "float64",  # NaN where there is none
    "int": "int64",
    "bool": "bool",
}
_READ: Mapping[str, Callable[[str], Any]] = {
    "float64": float,
    "int64": int,
    "Int64": int,
    "bool": "True".__eq__,
    "boolean": "True".__eq__,
}


def columns_of(kind: Any) -> dict[str, str]:
    """The fields of a dataclass as columns; what is no number is text, a list its words with | between them."""
    return {item.name: _DTYPES.get(str(item.type), TEXT) for item in fields(kind)}


def values_of(row: Any) -> tuple[Any, ...]:
    """What the fields of a dataclass hold, as `columns_of` says."""
    values = (getattr(row, item.name) for item in fields(row))
    return tuple("|".join(value) if isinstance(value, list) else value for value in values)


def to_frame(columns: Columns, rows: Iterable[Sequence[Any]]) -> DataFrame:
    """Rows -> a frame; None is a missing number, and empty where the column is text. Raises UserError: no pandas."""
    with needs("eval"):
        import pandas
    table = list(rows)
    data = {}
    for place, (name, dtype) in enumerate(columns.items()):
        values = [row[place] for row in table]
        if dtype == TEXT:
            values = ["" if value is None else value for value in values]
        data[name] = pandas.Series(values, dtype=dtype)
    return pandas.DataFrame(data)


def frame_to_csv(frame: DataFrame) -> bytes:
    """The file of a frame, for spreadsheets; `read_frame` is its inverse."""
    return to_csv(list(frame.columns), _rows(frame))


def frame_to_plain_csv(frame: DataFrame) -> bytes:
    """The same for other programs."""
    return to_plain_csv(list(frame.columns), _rows(frame))


def read_frame(path: Path, tables: Sequence[Columns]) -> DataFrame:
    """A CSV file of `frame_to_csv` or `frame_to_plain_csv`, one of `tables` by its header. Raises UserError."""
    with needs("eval"):
        import pandas
    try:
        data = path.read_bytes()
        text = pandas.read_csv(io.BytesIO(data), dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:  # pandas' own errors are ValueErrors
        raise UserError(f"{path}: not a readable CSV file ({first_line(error)}); take one of jdart-eval") from error
    columns = next((columns for columns in tables if list(columns) == list(text.columns)), None)
    if columns is None:
        raise UserError(f"{path}: not a table of jdart-eval; name a CSV file as it wrote it")
    try:
        rows = [tuple(map(_cell, columns.values(), row)) for row in text.itertuples(index=False, name=None)]
    except ValueError as error:
        raise UserError(f"{path}: {error}; name a CSV file as jdart-eval wrote it") from error
    if data.startswith(b"\xef\xbb\xbf"):
        texts = [dtype == TEXT for dtype in columns.values()]
        rows = [tuple(from_quoted(v) if is_text else v for v, is_text in zip(row, texts)) for row in rows]
    return to_frame(columns, rows)


def _rows(frame: DataFrame) -> Iterable[Sequence[Any]]:
    missing = frame.isna().to_numpy().tolist()
    for row, absent in zip(frame.itertuples(index=False, name=None), missing):
        yield [None if gone else value for value, gone in zip(row, absent)]


def _cell(dtype: str, text: str) -> Any:
    if dtype == TEXT:
        return text
    return None if text == "" else _READ[dtype](text)
