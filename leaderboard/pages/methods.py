"""How the numbers are made and how to read them."""

from __future__ import annotations

from leaderboard.building.site import Page
from leaderboard.pages.studio import Studio

# the keys of the catalogues, in the order of the page
READING = ("formula", "arrows", "interval", "ranges", "ties", "incomplete", "toy", "sections")
QUIRKS = ("hist-blue", "hist-hue", "hist-mean", "fid-stem", "fid-pooled", "iqa-range", "clip-r", "missing", "profiles")
SPLIT = ("product", "terms", "styles", "fid", "composition")


def page(studio: Studio) -> Page:
    """methods.html."""
    sections = studio.board.sections
    changed = any(row.report.post_processed for one in sections for row in one.rows)
    reading = (*READING, *(("post-processed",) if changed else ()))
    depends = [reading] + [(one.slug, one.reasons, len(one.rows), one.rows[0].report.inputs) for one in sections]
    values = {"sections": sections, "reading": reading, "quirks": QUIRKS, "split": SPLIT}
    return studio.page("methods.html", depends, "methods.html", lambda: values)
