"""The trials as a table for people, and as a CSV file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from contest.disk.spreadsheet import to_csv
from contest.numbers import decimal
from jdart.config.derived import short_names
from jdart.sweeping.rows import FAILED, METRICS, Row, best_of
from jdart.sweeping.space import told

if TYPE_CHECKING:
    from rich.table import Table

COLOURS = {"finished": "green", "stopped": "yellow", "refused": "red", "failed": "red", "running": "cyan"}


def trials_table(rows: Sequence[Row], styles: int, keys: Sequence[str], most: int | None = None) -> Table:
    """A row a trial; the best is bold. With `most`, the best and the last so many."""
    from rich.markup import escape
    from rich.table import Table

    best = best_of(rows)
    table = Table()
    names = short_names(keys)
    for head in ("trial", "", *names.values(), "styles", "mean", "Final", "s"):
        table.add_column(escape(head), justify="left" if head == "" else "right", no_wrap=True)
    last = rows if most is None else rows[max(0, len(rows) - most) :]
    if best is not None and best not in last:
        last = [best, *last[1:]]
    for row in last:
        table.add_row(
            str(row.number),
            f"[{COLOURS[row.state]}]{row.state}[/]",
            *(escape(told(row.labels[key])) if key in row.labels else "" for key in keys),
            f"{len(row.styles)}/{styles}",
            "" if row.mean is None else decimal(row.mean, 4),
            "" if row.scores is None else decimal(row.scores.final, 4),
            f"{row.seconds:.0f}" if row.seconds else "",
            style="bold" if row is best else None,
        )
    return table


def line_of(row: Row, rows: Sequence[Row], styles: int, keys: Sequence[str]) -> str:
    """What became of a trial, in a line."""
    values = ", ".join(f"{key}={told(row.labels[key])}" for key in keys if key in row.labels)
    if row.scores is not None:
        what = f"Final {decimal(row.scores.final, 4)}" + (", the best so far" if row is best_of(rows) else "")
    elif row.failed:
        where = "" if row.state == FAILED else "its "
        what = f"{row.state}: " + "; ".join(f"{where}{name}: {reason}" for name, reason in row.failed.items())
    else:
        what = f"{row.state} after {len(row.styles)} of {styles} styles, mean {decimal(row.mean or 0.0, 4)}"
    return f"trial {row.number}  {what}  ({values})"


def trials_csv(rows: Sequence[Row], styles: Sequence[str], keys: Sequence[str]) -> bytes:
    """A line a trial: what became of it, its figures, each style's Final alone, seconds, its values."""
    header = ["trial", "state", *METRICS, *(f"final of {style}" for style in styles), "seconds", *keys, "failed"]
    lines = []
    for row in rows:
        scores = [None] * len(METRICS) if row.scores is None else [getattr(row.scores, name) for name in METRICS]
        finals = [row.styles[style].final if style in row.styles else None for style in styles]
        failed = "; ".join(f"{name}: {reason}" for name, reason in row.failed.items())
        values = [row.labels.get(key) for key in keys]
        lines.append([row.number, row.state, *scores, *finals, round(row.seconds, 3), *values, failed])
    return to_csv(header, lines)
