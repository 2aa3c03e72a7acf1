"""Any entry against any other: one page whose script reads what it needs from a small file for each entry.

A page opened from a file may not fetch, but it may load scripts; so the files are scripts that hand over one value.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from leaderboard.building.site import Page
from leaderboard.code import code_digest
from leaderboard.entries import Row, Section
from leaderboard.pages.figures import row_rank
from leaderboard.pages.pictures import gallery
from leaderboard.pages.studio import Studio


def pages(studio: Studio) -> Iterator[Page]:
    """compare.html and the entries' data."""
    sections = studio.board.sections
    rows = [(section, row) for section in sections for row in section.rows]
    versions = {row.slug: _version(section, row) for section, row in rows}
    named = [
        (section.slug, [(row.slug, row.title, row_rank(row), row.reasons) for row in section.rows])
        for section in sections
    ]
    values = {"sections": sections, "versions": versions}
    yield studio.page("compare.html", (named, versions), "compare.html", lambda: values)
    for section, row in rows:
        yield _data(studio, section, row)


def _version(section: Section, row: Row) -> str:
    """Changes with what the data hold: a browser may have kept those of an earlier build."""
    depends = (code_digest(), section.slug, row.slug, row.title, row.report.inputs)
    return hashlib.sha256(repr(depends).encode("utf-8", "backslashreplace")).hexdigest()[:10]


def _data(studio: Studio, section: Section, row: Row) -> Page:
    return studio.file(
        f"data/{row.slug}.js",
        _version(section, row),
        lambda: _script(studio, section, row),
    )


def _script(studio: Studio, section: Section, row: Row) -> bytes:
    report = row.report
    styles: dict[str, Any] = {}
    for style in sorted({*report.styles, *report.counts}):
        shown = gallery(studio.thumbnails, report, style)
        styles[style] = {
            "scores": dict(report.styles.get(style, {})),
            "references": [list(one) for one in shown.references],
            "pictures": [
                {
                    "file": one.picture.file,
                    "prompt": one.picture.prompt,
                    "hit": one.picture.hit,
                    "rank": one.picture.rank,
                    "saw": [] if one.picture.hit else list(one.picture.top5),
                    "small": one.small,
                    "large": one.large,
                    "scores": {key: value for key, value in one.picture.scores.items() if value is not None},
                }
                for one in shown.outputs
            ],
        }
    value = {
        "slug": row.slug,
        "title": row.title,
        "page": row.page,
        "section": section.slug,
        "interval": report.interval,
        "scores": dict(report.scores),
        **({"post_processed": report.post_processed} if report.post_processed else {}),
        "styles": styles,
    }
    return f"jdartEntry({json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(',', ':'))});\n".encode()
