"""The first page: every ranking, with filters and charts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from leaderboard import charts
from leaderboard.building.site import Page
from leaderboard.entries import INCOMPLETE, Row, Section
from leaderboard.metrics import SCORES
from leaderboard.pages.names import style_slug
from leaderboard.pages.studio import Studio, line_of

NEAR = 100  # rows of a ranking whose previews are there without the script, too


def page(studio: Studio) -> Page:
    """index.html."""
    sections = studio.board.sections
    depends = [(section.slug, section.reasons, [line_of(row) for row in section.rows]) for section in sections]
    return studio.page("index.html", depends, "index.html", lambda: _values(studio))


def _values(studio: Studio) -> dict[str, Any]:
    rows = [row for section in studio.board.sections for row in section.rows]
    return {
        "sections": [_section(studio, section) for section in studio.board.sections],
        "scores": SCORES,
        "teams": sorted({row.report.meta.team for row in rows if row.report.meta.team is not None}),
        "tags": sorted({tag for row in rows for tag in row.report.meta.tags}),
        "dated": any(row.report.meta.date is not None for row in rows),
        "count": len(rows),
        "near": NEAR,
    }


def _section(studio: Studio, section: Section) -> dict[str, Any]:
    ranked = section.rows if section.status != INCOMPLETE else ()
    bars = [(row.title, row.report.scores) for row in ranked]
    drawn = (
        charts.plane(studio.words, f"plane-{section.slug}", ranked),
        charts.composition(studio.words, f"bars-{section.slug}", bars) if len(ranked) > 1 else None,
        charts.history(studio.words, f"history-{section.slug}", ranked),
    )
    kinds = ("plane", "composition", "history")
    return {
        "section": section,
        "best": _best(section.rows),
        "previews": {row.slug: studio.thumbnails.preview(row.report) for row in section.rows},
        "styles": [(style, f"styles/{section.slug}.{style_slug(style)}.html") for style in styles_of(section)],
        "panels": charts.ranking_panels(studio.words, ranked),
        "charts": [(kind, chart) for kind, chart in zip(kinds, drawn) if chart is not None],
    }


def styles_of(section: Section) -> list[str]:
    """Every style that an entry of the section has."""
    return sorted({style for row in section.rows for style in (*row.report.styles, *row.report.counts)})


def _best(rows: Sequence[Row]) -> dict[str, float]:
    """The best value of each score, to be marked; nothing where there is nothing to compare with."""
    if len(rows) < 2:
        return {}
    out = {}
    for metric in SCORES:
        values = [value for row in rows if (value := row.report.scores[metric.key]) is not None]
        if values and min(values) < max(values):
            out[metric.key] = max(values) if metric.higher_is_better else min(values)
    return out
