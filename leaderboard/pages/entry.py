"""The page of one entry: its scores, why it stands below the one above; and its details: pictures, run, sources."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from leaderboard import charts
from leaderboard.building.difference import LABELS, METRICS, difference
from leaderboard.building.site import Page
from leaderboard.entries import Row, Section
from leaderboard.metrics import SCORES, STYLE_SCORES, Metric
from leaderboard.pages.names import style_slug
from leaderboard.pages.pictures import gallery, heats
from leaderboard.pages.studio import Studio
from leaderboard.reading.reports import Report


def pages(studio: Studio, section: Section) -> Iterator[Page]:
    """A page for each row. It depends on the entry, not on its rank, and on those above and below that it names."""
    rows = section.rows
    for i, row in enumerate(rows):
        above = rows[i - 1] if i else None
        below = rows[i + 1] if i + 1 < len(rows) else None
        depends = (
            section.slug,
            section.reasons,
            _entry(row),
            None if above is None else _entry(above)[:3],
            None if below is None else (below.title, below.slug),
        )
        yield _page(studio, section, row, above, below, depends)


def _entry(row: Row) -> tuple[object, ...]:
    return (row.report.inputs, row.title, row.slug, row.rank is None, row.reasons, row.twins, row.more_twins)


def _page(studio: Studio, section: Section, row: Row, above: Row | None, below: Row | None, depends: object) -> Page:
    return studio.page(row.page, depends, "entry.html", lambda: _values(studio, section, row, above, below))


def _values(studio: Studio, section: Section, row: Row, above: Row | None, below: Row | None) -> dict[str, Any]:
    report = row.report
    return {
        "section": section,
        "row": row,
        "above": above,
        "below": below,
        "report": report,
        "score": {metric.key: metric for metric in SCORES},
        "composition": charts.composition(studio.words, "composition", [(row.title, report.scores)]),
        "against": None if above is None else against(report, above.report),
        "details": studio.part(
            row.page,
            (section.slug, row.title, report.inputs),
            "details.html",
            lambda: _details(studio, section, row),
        ),
    }


def _details(studio: Studio, section: Section, row: Row) -> dict[str, Any]:
    """What does not change with the entry's rank."""
    report, run, words = row.report, row.report.run, studio.words
    sheets = () if run is None else run.sheets
    return {
        "row": row,
        "report": report,
        "style_scores": STYLE_SCORES,
        "style_rows": style_rows(report),
        "style_pages": {style: f"styles/{section.slug}.{style_slug(style)}.html" for style in report.images},
        "panels": charts.style_panels(words, report.styles),
        "galleries": [gallery(studio.thumbnails, report, style) for style in report.images],
        "losses": [] if run is None else charts.losses(words, run.losses),
        "sheets": [place for sheet in sheets if (place := studio.thumbnails.sheet(report, sheet)) is not None],
    }


def style_rows(report: Report) -> list[tuple[str, list[tuple[Metric, float | None, int | None]]]]:
    """For each style its (metric, value, heat), the heat beside the entry's other styles."""
    columns = {
        metric.key: dict(
            zip(report.styles, heats([v[metric.key] for v in report.styles.values()], metric.higher_is_better))
        )
        for metric in STYLE_SCORES
    }
    return [
        (style, [(metric, values[metric.key], columns[metric.key][style]) for metric in STYLE_SCORES])
        for style, values in report.styles.items()
    ]


def against(report: Report, other: Report) -> dict[str, Any] | None:
    """The difference from another entry as two tables, each with the greatest part first."""
    found = difference(report, other)
    if found is None:
        return None
    digits = {metric.key: metric for metric in SCORES}
    metrics = [
        (LABELS[key], digits[key].show(report.scores[key]), digits[key].show(other.scores[key]), found.metrics[key])
        for key in METRICS
    ]
    styles = [(style, sum(parts.values())) for style, parts in found.styles.items()]
    return {
        "total": found.total,
        "metrics": sorted(metrics, key=lambda line: -abs(line[3])),
        "styles": sorted(styles, key=lambda line: -abs(line[1])),
        "elsewhere": found.elsewhere,
        "most": max([abs(part) for part in found.metrics.values()], default=0.0),
        "most_style": max([abs(part) for _, part in styles] + [abs(found.elsewhere)]),
    }
