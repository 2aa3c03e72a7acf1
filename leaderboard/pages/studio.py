"""What every page is made with: templates that escape everything, words, and keys that say what a page depends on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from contest.numbers import decimal
from leaderboard.building.site import Before, Page
from leaderboard.code import code_digest
from leaderboard.i18n import LANGUAGES, TAGS, Words
from leaderboard.pages.figures import Figures, preview_strip, references, row_rank
from leaderboard.pages.names import picture_id, style_id
from leaderboard.pages.rows import heat_cells, post_processed, score_cells
from leaderboard.pages.scripts import static_place

if TYPE_CHECKING:
    import jinja2

    from leaderboard.building.thumbnails import Thumbnails
    from leaderboard.entries import Board, Row

_HERE = Path(__file__).parent.parent


class Studio:
    """Makes the pages of one board, with what is still good of those that the site had before."""

    def __init__(self, board: Board, thumbnails: Thumbnails, before: Before) -> None:
        self.board = board
        self.thumbnails = thumbnails
        self._before = before
        self.words = Words(board.language)
        self._shared = (code_digest(), board.title, board.language, board.home)
        self._environment = _environment(self.words)

    def page(self, path: str, depends: object, template: str, values: Callable[[], dict[str, Any]]) -> Page:
        """A page of a template; `values` is called only when the page has to be made anew."""
        return Page(path, self.key(path, depends), lambda: self._html(path, template, values()).encode())

    def part(self, path: str, depends: object, template: str, values: Callable[[], dict[str, Any]]) -> Markup:
        """A long part of the page at `path`, between two comments that tell the next build what it depends on."""
        key = self.key(path, template, depends)
        first, last = f"<!-- part {key} -->\n", f"<!-- end of part {key} -->"
        _, found, rest = self._before.read(path).decode("utf-8", "replace").partition(first)
        kept, whole, _ = rest.partition(last)
        html = kept if found and whole else self._html(path, template, values())
        return Markup(f"{first}{html}{last}")

    def file(self, path: str, depends: object, make: Callable[[], bytes]) -> Page:
        """A file that no template makes."""
        return Page(path, self.key(path, depends), make)

    def key(self, *depends: object) -> str:
        """A hash of what a page depends on, with the code and what all pages share."""
        return hashlib.sha256(repr((self._shared, depends)).encode("utf-8", "backslashreplace")).hexdigest()

    def _html(self, path: str, template: str, values: dict[str, Any]) -> str:
        return self._environment.get_template(template).render(
            root="../" * path.count("/"), board=self.board, here=path, **values
        )


def range_text(row: Row) -> str | None:
    """The ranks that the intervals allow, where they allow more than one."""
    if row.rank_range is None or row.rank_range[0] == row.rank_range[1]:
        return None
    return "{}–{}".format(*row.rank_range)


def line_of(row: Row) -> tuple[object, ...]:
    """What a page depends on that shows an entry with its rank."""
    return (row.report.inputs, row.title, row.slug, row_rank(row), row.rank_range, row.reasons, row.twins)


def signed(value: float | None, digits: int = 4) -> str:
    """A difference, with its sign; a minus as wide as a plus."""
    if value is None:
        return "–"
    text = decimal(value, digits, plus=True)
    return text.replace("-", "−") if text[0] in "+-" else f"±{text}"


def part_class(value: float) -> str:
    """The colour of a part of a difference; none for one that is shown as nothing."""
    return "" if abs(value) < 5e-5 else "gain" if value > 0 else "loss"


def diverging(value: float, most: float) -> Markup:
    """A bar to the right for a gain and to the left for a loss; `most` fills one side."""
    width = 0.0 if most <= 0 else min(1.0, abs(value) / most) * 48
    left = 50 if value >= 0 else 50 - width
    return Markup(
        '<svg class="gain-bar" viewBox="0 0 100 10" width="100" height="10" aria-hidden="true">'
        '<rect x="{:.1f}" y="1" width="{:.1f}" height="8" class="{}"/><path d="M50 0v10" class="zero"/></svg>'
    ).format(left, width, "gain" if value >= 0 else "loss")


def _environment(words: Words) -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    figures = Figures(words)
    environment.globals.update(
        t=words.span,
        at=words.attribute,
        mark=words.mark,
        plain=words.plain,
        reason=words.reason,
        lang=TAGS[words.language],
        languages=LANGUAGES,
        rank_text=row_rank,
        static_place=static_place,
        changed=partial(post_processed, words),
        heat_cells=heat_cells,
        score_cells=score_cells,
        reference_items=references,
        gallery_items=figures.gallery,
        output=figures.output,
        range_text=range_text,
        diverging=diverging,
        part_class=part_class,
        preview_strip=preview_strip,
        style_id=style_id,
        picture_id=picture_id,
    )
    environment.filters.update(signed=signed)
    return environment
