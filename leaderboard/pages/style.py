"""A page for each style of a ranking: every entry's figures, and the pictures of a prompt side by side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from leaderboard.building.site import Page
from leaderboard.entries import Section
from leaderboard.metrics import STYLE_SCORES
from leaderboard.pages.index import styles_of
from leaderboard.pages.names import picture_slug, style_slug
from leaderboard.pages.pictures import heats, references, show
from leaderboard.pages.rows import style_rows
from leaderboard.pages.studio import Studio, line_of

MOST = 16  # entries whose pictures are shown, best first; the others have theirs on their own pages


def pages(studio: Studio, section: Section) -> Iterator[Page]:
    """A page for each style that an entry of the section has."""
    styles = styles_of(section)
    # hashed once, as it is long and all the pages depend on it
    depends = studio.key(section.slug, section.reasons, styles, [line_of(row) for row in section.rows])
    for i, style in enumerate(styles):
        around = (styles[i - 1] if i else None, styles[i + 1] if i + 1 < len(styles) else None)
        yield _page(studio, section, style, around, depends)


def _page(studio: Studio, section: Section, style: str, around: tuple[str | None, str | None], depends: object) -> Page:
    path = f"styles/{section.slug}.{style_slug(style)}.html"
    return studio.page(path, (style, depends), "style.html", lambda: _values(studio, section, style, around))


def _values(studio: Studio, section: Section, style: str, around: tuple[str | None, str | None]) -> dict[str, Any]:
    rows = [row for row in section.rows if style in row.report.styles or style in row.report.counts]
    columns, scores = {}, [row.report.styles.get(style, {}) for row in rows]
    for metric in STYLE_SCORES:
        values = [one.get(metric.key) for one in scores]
        columns[metric.key] = list(zip(values, heats(values, metric.higher_is_better)))
    prompts: dict[str, list[Any]] = {}
    for row in rows[:MOST]:
        for picture in row.report.images.get(style, ()):
            shown = show(studio.thumbnails, row.report, style, picture)
            prompts.setdefault(picture.file, []).append((row, shown))
    return {
        "section": section,
        "style": style,
        "before": None if around[0] is None else (around[0], f"{section.slug}.{style_slug(around[0])}.html"),
        "after": None if around[1] is None else (around[1], f"{section.slug}.{style_slug(around[1])}.html"),
        "style_scores": STYLE_SCORES,
        "count": len(rows),
        "table": style_rows(studio.words, style, rows, columns),
        "references": next(
            (references(studio.thumbnails, row.report, style) for row in rows if style in row.report.referenced), ()
        ),
        "prompts": [(file, f"picture-{picture_slug(file)}", prompts[file]) for file in sorted(prompts)],
        "most": MOST if len(rows) > MOST else None,
    }
