"""The HTML of tables' rows. The tables of a style have a row for every entry, which is too many for a template."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

from leaderboard.metrics import SCORES, STYLE_SCORES, Metric
from leaderboard.pages.figures import row_rank
from leaderboard.pages.names import style_id
from leaderboard.text import escape

if TYPE_CHECKING:
    from leaderboard.entries import Row
    from leaderboard.i18n import Words


def heat_cells(cells: Iterable[tuple[Metric, float | None, int | None]]) -> Markup:
    """Table cells for (metric, value, heat)."""
    return Markup("\n".join([_heat_cell(metric.show(value), heat) for metric, value, heat in cells]))


def style_rows(
    words: Words, style: str, rows: Sequence[Row], columns: Mapping[str, Sequence[tuple[float | None, int | None]]]
) -> Markup:
    """Rows of entries on the page of a style; `columns` maps a metric to their (value, heat)."""
    place = style_id(style)
    shown = [[_heat_cell(metric.show(value), heat) for value, heat in columns[metric.key]] for metric in STYLE_SCORES]
    lines = []
    for row, cells in zip(rows, zip(*shown)):
        link = f'<a href="../{row.page}#{place}"><bdi>{escape(row.title)}</bdi></a>{post_processed(words, row)}'
        head = f'<td class="rank">{row_rank(row)}</td>\n<th scope="row" class="entry">{link}</th>'
        lines.append("\n".join(["<tr>", head, *cells, "</tr>"]))
    return Markup("\n".join(lines))


def score_cells(row: Row, best: Mapping[str, float]) -> Markup:
    """Cells of an entry's scores on the first page, the best of a ranking marked."""
    scores, interval, lines = row.report.scores, row.report.interval, []
    for metric in SCORES:
        value, marks, more = scores[metric.key], "", ""
        if value is not None and best.get(metric.key) == value:
            marks = ' class="best"'
        if metric.key == "final":
            marks += f' data-v="{sortable(value)}"'
            if interval is not None:
                more = f'<span class="range">{metric.show(interval[0])}–{metric.show(interval[1])}</span>'
        lines.append(f"<td{marks}>{metric.show(value)}{more}</td>")
    return Markup("".join(lines))


def post_processed(words: Words, row: Row) -> Markup:
    """What tells apart what was drawn and then changed."""
    if not row.report.post_processed:
        return Markup("")
    return Markup(f' <span class="badge post-processed">{words.span("badge.post-processed")}</span>')


def sortable(value: float | None) -> str:
    """A value as the sorting script reads it; nothing where there is none."""
    return "" if value is None else f"{value + 0.0:.7g}"


def _heat_cell(text: str, heat: int | None) -> str:
    return f"<td>{text}</td>" if heat is None else f'<td class="heat-{heat}">{text}</td>'
