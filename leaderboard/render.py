"""Rows -> the files of a site. HTML is made by templates that escape everything."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from leaderboard.entries import INCOMPLETE, NOT_COMPARABLE, RANKED, Row, Section, as_records, as_table
from leaderboard.metrics import SCORES, STYLE_SCORES, Metric
from leaderboard.reports import Report
from leaderboard.thumbnails import Thumbnails

_HERE = Path(__file__).parent
_HEADINGS = {RANKED: "Ranking", INCOMPLETE: "Incomplete entries", NOT_COMPARABLE: "Not comparable entries"}
_PREVIEW = 6  # pictures beside an entry's name


def render(sections: Sequence[Section], title: str) -> dict[str, bytes]:
    """Every file of the site: relative path -> bytes, the same for equal input."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    thumbnails = Thumbnails()
    previews = {}
    pages = {}
    for section in sections:
        for row in section.rows:
            galleries = _galleries(row.report, thumbnails)
            previews[row.slug] = _preview(galleries)
            pages[row.page] = environment.get_template("entry.html").render(
                title=title,
                section=section,
                row=row,
                report=row.report,
                score={metric.key: metric for metric in SCORES},
                style_scores=STYLE_SCORES,
                style_rows=_style_rows(row.report),
                galleries=galleries,
                anchors={gallery["style"]: f"style-{i}" for i, gallery in enumerate(galleries)},
            )
    pages["index.html"] = environment.get_template("index.html").render(
        title=title,
        sections=sections,
        headings=_HEADINGS,
        scores=SCORES,
        best=[_best(section.rows) for section in sections],
        previews=previews,
    )
    files = {name: page.encode() for name, page in pages.items()}
    files["board.json"] = _json({"schema_version": 1, "title": title, "entries": as_records(sections)})
    files["board.csv"] = as_table(sections).to_csv(index=False, lineterminator="\n").encode()
    for path in sorted((_HERE / "static").iterdir()):
        files[f"static/{path.name}"] = path.read_bytes()
    return {**files, **thumbnails.files}


def _galleries(report: Report, thumbnails: Thumbnails) -> list[dict[str, Any]]:
    """What is shown for each style: references (object -> place) and outputs (picture, place or None)."""
    return [
        {
            "style": style,
            "references": thumbnails.references(report.path, style),
            "outputs": [(one, thumbnails.output(report.path, style, one.file)) for one in pictures],
        }
        for style, pictures in report.images.items()
    ]


def _preview(galleries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Some outputs, taken from as many styles as there are."""
    columns = [[place for _, place in gallery["outputs"] if place is not None] for gallery in galleries]
    deepest = max((len(column) for column in columns), default=0)
    return [column[i] for i in range(deepest) for column in columns if i < len(column)][:_PREVIEW]


def _best(rows: Sequence[Row]) -> dict[str, float]:
    """The best value of each score, to be marked; nothing where there is nothing to compare with."""
    if len(rows) < 2:
        return {}
    out = {}
    for metric in SCORES:
        values = [value for row in rows if (value := row.report.scores[metric.key]) is not None]
        if values:
            out[metric.key] = max(values) if metric.higher_is_better else min(values)
    return out


def _style_rows(report: Report) -> list[tuple[str, list[tuple[Metric, float | None, str | None]]]]:
    """For each style its (metric, value, heat): "0.00" for the entry's worst style to "1.00" for its best."""
    heats = {metric.key: _heat(metric, report) for metric in STYLE_SCORES}
    return [
        (style, [(metric, values[metric.key], heats[metric.key].get(style)) for metric in STYLE_SCORES])
        for style, values in report.styles.items()
    ]


def _heat(metric: Metric, report: Report) -> dict[str, str]:
    values = {style: value for style, row in report.styles.items() if (value := row[metric.key]) is not None}
    low, high = min(values.values(), default=0.0), max(values.values(), default=0.0)
    if low == high:
        return {}
    shares = {style: (value - low) / (high - low) for style, value in values.items()}
    return {style: f"{share if metric.higher_is_better else 1 - share:.2f}" for style, share in shares.items()}


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
