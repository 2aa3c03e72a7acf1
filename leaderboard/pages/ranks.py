"""The ranks of all entries in one small file, which the entries' pages read: so a page stays when another entry comes.

Its address has no hash of what it holds, as that would be on every page; browsers keep it no longer than the pages.
"""

from __future__ import annotations

import json

from leaderboard.building.site import Page
from leaderboard.pages.figures import row_rank
from leaderboard.pages.studio import Studio, range_text


def page(studio: Studio) -> Page:
    """ranks.js, a script, since a page opened from a file may not fetch."""
    rows = [row for section in studio.board.sections for row in section.rows if row.rank is not None]
    ranks = {row.slug: [one for one in (row_rank(row), range_text(row)) if one is not None] for row in rows}
    text = f"jdartRanks({json.dumps(ranks, separators=(',', ':'))});\n"
    return studio.file("ranks.js", text, text.encode)
