"""Every page of a board."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from leaderboard.building.site import Before, Page
from leaderboard.pages import compare, entry, index, methods, ranks, scripts, style
from leaderboard.pages.studio import Studio

if TYPE_CHECKING:
    from leaderboard.building.thumbnails import Thumbnails
    from leaderboard.entries import Board


def site_pages(board: Board, thumbnails: Thumbnails, before: Before) -> Iterator[Page]:
    """HTML, style sheet, scripts and the scripts' data of the whole site."""
    studio = Studio(board, thumbnails, before)
    yield index.page(studio)
    yield methods.page(studio)
    yield ranks.page(studio)
    yield from compare.pages(studio)
    for section in board.sections:
        yield from entry.pages(studio, section)
        yield from style.pages(studio, section)
    for name, data in scripts.static_files().items():
        yield studio.file(f"static/{name}", (), partial(bytes, data))
