"""Where the pictures of reports are in the site, and how they are made from those on disk."""

from __future__ import annotations

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from contest.cores import cores
from leaderboard.building.webp import GREY, resized
from leaderboard.reading.found import LARGE, SHEET, SMALL, Source, same
from leaderboard.reading.reports import Report

FOLDER = "thumbnails"
OURS = re.compile(r"[0-9a-f]{20}(-small|-large|-sheet)?\.webp")  # the names that `_place` gives
_SIDES = {"small": SMALL, "large": LARGE, "sheet": SHEET}


@dataclass
class Thumbnails:
    """Places of pictures in a site, named after what they hold, so that equal ones are there once.

    `sources` maps every place that was asked for to what it is made from, and the size; none means as it is.
    """

    sources: dict[str, tuple[Source, str]] = field(default_factory=dict)

    def output(self, report: Report, style: str, picture: str, size: str = "small") -> str | None:
        """Place of one output's thumbnail, "small" (at most 96 px) or "large" (320); None when the report has none."""
        source = report.found.outputs.get((style, picture))
        return None if source is None else self._place(source, size)

    def references(self, report: Report, style: str, size: str = "small") -> Mapping[object, str]:
        """Object -> place for each of a style's references, sorted; empty when the report has none."""
        return {name: self._place(one, size) for name, one in report.found.references.get(style, {}).items()}

    def sheet(self, report: Report, path: Path) -> str | None:
        """Place of a contact sheet of the report's run."""
        source = report.found.sheets.get(path)
        return None if source is None else self._place(source, "sheet")

    def preview(self, report: Report) -> list[str]:
        """Places of the few that stand beside the entry's name."""
        return [self._place(source, "small") for source in report.preview]

    def take_all(self, report: Report) -> None:
        """Every picture of a report is in the site, whether its pages are made anew or not."""
        found = report.found
        references = [source for style in found.references.values() for source in style.values()]
        for source in (*found.outputs.values(), *references):
            self._place(source, "small")
            self._place(source, "large")
        for source in found.sheets.values():
            self._place(source, "sheet")

    def _place(self, source: Source, size: str) -> str:
        side = _SIDES[size]
        as_it_is = source.plain and source.width <= side and source.height <= side
        place = f"{FOLDER}/{source.digest}.webp" if as_it_is else f"{FOLDER}/{source.digest}-{size}.webp"
        self.sources.setdefault(place, (source, "" if as_it_is else size))
        return place


def make(source: Source, size: str) -> bytes:
    """The bytes of a place: the file itself where `size` is empty, else a WebP of that size made from it."""
    try:
        data = Path(source.path).read_bytes()
    except OSError:
        data = b""
    if not same(data, source.digest):  # it changed while the site was built, and may be anything now
        return GREY
    return resized(data, _SIDES[size]) if size else data


def make_all(places: Mapping[str, tuple[Source, str]], folder: Path) -> None:
    """Write the pictures of places below `folder`, with all cores: Pillow lets other threads work while it codes."""
    from PIL import WebPImagePlugin  # noqa: F401 - imported once, before there are threads

    def write(item: tuple[str, tuple[Source, str]]) -> None:
        place, (source, size) = item
        (folder / place).write_bytes(make(source, size))

    with ThreadPoolExecutor(cores()) as pool:
        for _ in pool.map(write, sorted(places.items())):
            pass
