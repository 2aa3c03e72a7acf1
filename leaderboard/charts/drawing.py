"""The pencil of the charts: elements with attributes only, since the pages' policy allows no inline style."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from markupsafe import Markup

from leaderboard.i18n import Label
from leaderboard.text import escape

SERIES = 8  # colours and shapes that the style sheet and `marker` tell apart
_SHAPES = ("circle", "square", "up", "diamond", "down", "cross", "plus", "bar")
_PATHS = {
    "square": "m-3.5-3.5h7v7h-7z",
    "up": "m0-4.6l4.4 7.8h-8.8z",
    "down": "m0 4.6l4.4-7.8h-8.8z",
    "diamond": "m0-5l5 5-5 5-5-5z",
    "cross": "m-4-2.6l1.4-1.4 2.6 2.6 2.6-2.6 1.4 1.4-2.6 2.6 2.6 2.6-1.4 1.4-2.6-2.6-2.6 2.6-1.4-1.4 2.6-2.6z",
    "plus": "m-1.3-4.6h2.6v3.3h3.3v2.6h-3.3v3.3h-2.6v-3.3h-3.3v-2.6h3.3z",
    "bar": "m-4.6-1.7h9.2v3.4h-9.2z",
}


@dataclass(frozen=True)
class Chart:
    """A finished chart, and what its colours stand for: (swatch, label)."""

    svg: Markup
    legend: tuple[tuple[Markup, Label], ...] = ()


@dataclass
class Canvas:
    """Collects the elements of one chart of `width` x `height` units.

    `kind` is a class of the style sheet, where the colours are. What is not a number or a class is escaped here.
    """

    width: float
    height: float
    _parts: list[str] = field(default_factory=list)

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        self._parts.append(
            f'<line x1="{short(x1)}" y1="{short(y1)}" x2="{short(x2)}" y2="{short(y2)}" class="{kind}"/>'
        )

    def rect(self, x: float, y: float, width: float, height: float, kind: str) -> None:
        size = f'width="{short(width)}" height="{short(height)}"'
        self._parts.append(f'<rect x="{short(x)}" y="{short(y)}" {size} class="{kind}"/>')

    def curve(self, points: Sequence[tuple[float, float]], kind: str) -> None:
        """A line through points."""
        path = "L".join(f"{short(x)} {short(y)}" for x, y in points)
        self._parts.append(f'<path d="M{path}" class="{kind}"/>')

    def text(self, x: float, y: float, text: str | Label, kind: str) -> None:
        """Text with its base line at (x, y)."""
        label = Label(text) if isinstance(text, str) else text
        place = f'x="{short(x)}" y="{short(y)}" class="{kind}"{label.mark}'
        self._parts.append(f"<text {place}>{escape(label.text)}</text>")

    def point(self, x: float, y: float, series: int, hint: str) -> None:
        """A point of a series, told apart by colour and by shape; `hint` shows under the mouse."""
        self._parts.append(marker(x, y, series, hint))

    def svg(self, name: str, title: Label, about: Label, kind: str = "") -> Markup:
        """The chart; `name` is its id, `title` what it shows, `about` the same told to who cannot see it."""
        width, height = short(self.width), short(self.height)
        size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        head = f'<svg class="{f"chart {kind}".strip()}" {size} role="img" aria-labelledby="{name}-t {name}-d">'
        said = f'<title id="{name}-t"{title.mark}>{escape(title.text)}</title>'
        told = f'<desc id="{name}-d"{about.mark}>{escape(about.text)}</desc>'
        return Markup("".join([head, said, told, *self._parts, "</svg>"]))


@dataclass(frozen=True)
class Scale:
    """Maps [low, high] to [start, end] on the canvas."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def scale(values: Sequence[float], start: float, end: float) -> Scale:
    """A scale that holds the values with a little air. One value alone is put in the middle."""
    low, high = min(values), max(values)
    air = (high - low) * 0.06 if high > low else max(abs(high) * 0.1, 0.01)
    return Scale(low - air, high + air, start, end)


def ticks(scale: Scale, about: int = 4) -> list[tuple[float, str]]:
    """Round values on a scale, with their text: steps of 1, 2 or 5 times a power of ten."""
    span = scale.high - scale.low
    power = 10.0 ** math.floor(math.log10(span / about))
    step = next(step for step in (power, 2 * power, 5 * power, 10 * power) if span / step <= about + 0.5)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    first, last = math.ceil(scale.low / step - 1e-9), math.floor(scale.high / step + 1e-9)
    return [(i * step, f"{i * step + 0.0:.{digits}f}") for i in range(first, last + 1)]


def marker(x: float, y: float, series: int, hint: str = "") -> str:
    """The mark of a series: shape and colour go round together."""
    shape, kind = _SHAPES[series % SERIES], f'class="point series-{series % SERIES}"'
    if shape == "circle":
        head, tag = f'<circle cx="{short(x)}" cy="{short(y)}" r="4" {kind}', "circle"
    else:
        head, tag = f'<path d="M{short(x)} {short(y)}{_PATHS[shape]}" {kind}', "path"
    return f"{head}><title>{escape(hint)}</title></{tag}>" if hint else f"{head}/>"


def swatch(series: int) -> Markup:
    """A series' mark for a legend."""
    return framed_swatch(marker(6, 6, series))


def framed_swatch(mark: str) -> Markup:
    """A mark of 12 x 12 units for a legend."""
    return Markup(f'<svg class="swatch" viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">{mark}</svg>')


@lru_cache(1 << 14)
def short(number: float) -> str:
    """A coordinate to a tenth of a unit, without a needless zero."""
    text = f"{number + 0.0:.1f}"
    text = text[:-2] if text.endswith(".0") else text
    return "0" if text == "-0" else text


def fit(text: str, columns: int) -> str:
    """As much of a text as fits; Chinese characters take two columns."""
    from unicodedata import east_asian_width

    taken = 0
    for i, letter in enumerate(text):
        taken += 2 if east_asian_width(letter) in "WF" else 1
        if taken > columns:
            return text[:i].rstrip() + "…"
    return text
