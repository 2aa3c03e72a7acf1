"""The HTML of a picture. A big board has a hundred thousand of them, for which a template is too slow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

from leaderboard.pages.names import picture_id
from leaderboard.pages.pictures import Gallery, Shown
from leaderboard.text import escape

if TYPE_CHECKING:
    from leaderboard.entries import Row
    from leaderboard.i18n import Words

LARGE = 160  # px of a large thumbnail, as the evaluator writes them; browsers choose between the sizes by it
_SLOT, _REFERENCE = 104, 72  # px that an output takes up, and a reference
_BLANK = '<span class="blank" aria-hidden="true"></span>'


def _zoomable(root: str, small: str, large: str | None, alt: str, slot: int) -> str:
    """A thumbnail that leads to its larger self; `root` leads from the page to the site."""
    sizes = f' srcset="{root}{small} 96w, {root}{large} {LARGE}w" sizes="{slot}px"' if large else ""
    image = f'<img src="{root}{small}"{sizes} alt="{escape(alt)}" width="{slot}" height="{slot}" loading="lazy">'
    return f'<a class="zoom" href="{root}{large or small}">{image}</a>'


def references(root: str, shown: Iterable[tuple[str, str, str | None]]) -> Markup:
    """List items for references as (object, small, large)."""
    lines = []
    for name, small, large in shown:
        image = _zoomable(root, small, large, name, _REFERENCE)
        lines.append(f"<li><figure>{image}<figcaption>{escape(name)}</figcaption></figure></li>")
    return Markup("\n".join(lines))


def preview_strip(places: Sequence[str], far: bool) -> Markup:
    """Small pictures beside an entry's name; of one `far` down the names alone, which `strips.js` makes pictures of."""
    if not places:
        return Markup("")
    if far:
        names = " ".join(place.partition("/")[2].removesuffix(".webp") for place in places)
        return Markup(f'<span class="strip" data-strip="{names}"></span>')
    images = "".join(f'<img src="{place}" alt="" width="34" height="34" loading="lazy">' for place in places)
    return Markup(f'<span class="strip">{images}</span>')


class Figures:
    """Outputs with what CLIP-R made of them."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self._hit = f' <span class="mark"{words.mark("hit")}>{words.plain("hit")}</span>'

    def gallery(self, root: str, gallery: Gallery) -> Markup:
        """List items for all outputs of one style, on the page of their entry."""
        items = [
            self._item(root, shown, picture_id(gallery.style, shown.picture.file), escape(shown.picture.prompt))
            for shown in gallery.outputs
        ]
        return Markup("\n".join(items))

    def output(self, root: str, shown: Shown, place: str, row: Row, target: str) -> Markup:
        """A list item with the id `place` beside those of other entries; its caption leads to `target` on its own."""
        title = escape(row.title)
        name = f'{row_rank(row)} <a href="{root}{row.page}#{target}"><bdi>{title}</bdi></a>'
        return Markup(self._item(root, shown, place, name, f' data-entry="{title}"'))

    def _item(self, root: str, shown: Shown, place: str, name: str, data: str = "") -> str:
        picture, scores = shown.picture, shown.scores
        kind = "unknown" if picture.hit is None else "hit" if picture.hit else "miss"
        if scores:
            data += f' data-scores="{scores}"'
        image = _BLANK
        if shown.small is not None:
            image = _zoomable(root, shown.small, shown.large, picture.prompt, _SLOT)
        caption = f"<figcaption>{name}{self._verdict(shown)}</figcaption>"
        return f'<li id="{place}"><figure class="{kind}"{data}>{image}{caption}</figure></li>'

    def _verdict(self, shown: Shown) -> str:
        """Whether CLIP-R found the prompt; where it did not, what it saw."""
        words, picture = self._words, shown.picture
        if picture.hit is None:
            return ""
        if picture.hit:
            return self._hit
        rank = {} if picture.rank is None else {"rank": picture.rank}
        key = "miss.rank" if rank else "miss"
        miss = f' <span class="mark"{words.mark(key, **rank)}>{words.plain(key, **rank)}</span>'
        if not picture.top5:
            return miss
        what = ", ".join(picture.top5)
        return f'{miss} <span class="saw"{words.mark("saw", what=what)}>{escape(words.plain("saw", what=what))}</span>'


def row_rank(row: Row) -> str:
    """A rank as boards write it: "2=" where it is shared."""
    return "–" if row.rank is None else f"{row.rank}=" if row.tied else str(row.rank)
