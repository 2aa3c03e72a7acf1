"""The pictures that differ between two entries side by side: A, B, and where they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from contest.disk.files import atomic_write
from contest.entry.listing import BadItem
from contest.lettering import fit_text, font_of
from submission.diff.compare import CHANGED, REPACKED, SAME, Change, Pair, read_pixels
from submission.telling.formats import printable

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

_CELL = 224  # pixels
_GAP, _MARGIN = 16, 28
_LABELS = 210  # width of the column of names
_TITLE, _TEXT, _SMALL = 22, 15, 13  # font sizes
_PAPER, _INK, _GREY, _RULE, _EMPTY = "#ffffff", "#1d1d1f", "#6e6e73", "#d2d2d7", "#f5f5f7"
_MOST = 64  # a difference is shown at most so many times as strong


def write_sheet(out: Path, pairs: Sequence[Pair], changes: Sequence[Change], names: tuple[str, str], rows: int) -> int:
    """Draw the `rows` most different pictures as a PNG, atomically; returns how many differ but are left out.

    Changed ones come first, by their difference, then those that only one entry has. `names` are A's and B's.
    """
    different = sorted((change for change in changes if change.state not in (SAME, REPACKED)), key=_rank)
    shown = different[:rows]
    sheet = _draw(shown, {pair.path: pair for pair in pairs}, names, len(different))
    with atomic_write(out) as stream:
        sheet.save(stream, "PNG")
    return len(different) - len(shown)


def _rank(change: Change) -> tuple[bool, float, str]:
    """What has no difference to measure, such as another size, differs most."""
    difference = float("inf") if change.difference is None else change.difference
    return change.state != CHANGED, -difference, change.path


def _draw(shown: Sequence[Change], pairs: Mapping[str, Pair], names: tuple[str, str], count: int) -> Image.Image:
    from PIL import Image, ImageDraw

    top = _MARGIN + _TITLE + _GAP + _TEXT + _GAP
    width = _left(2) + _CELL + _MARGIN
    height = top + len(shown) * (_CELL + _GAP) - _GAP + _MARGIN
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN, _MARGIN), _title(len(shown), count), _INK, font_of(_TITLE), anchor="la")
    for column, heading in enumerate((f"A  {names[0]}", f"B  {names[1]}", "difference, made stronger")):
        at = (_left(column), _MARGIN + _TITLE + _GAP)
        draw.text(at, fit_text(printable(heading), font_of(_TEXT), _CELL), _GREY, font_of(_TEXT), anchor="la")
    for row, change in enumerate(shown):
        y = top + row * (_CELL + _GAP)
        draw.line((_MARGIN, y - _GAP // 2, width - _MARGIN, y - _GAP // 2), _RULE)
        _draw_row(sheet, draw, change, pairs[change.path], y)
    return sheet


def _title(shown: int, count: int) -> str:
    if count == 0:
        return "No picture differs"
    left = f"; the {shown} most different are shown, {count - shown} left out" if shown < count else ""
    return f"{count} {'picture differs' if count == 1 else 'pictures differ'}{left}"


def _draw_row(sheet: Image.Image, draw: ImageDraw.ImageDraw, change: Change, pair: Pair, y: int) -> None:
    pixels = []
    for column, item in enumerate((pair.a, pair.b)):
        found = None
        reason = "not in this entry"
        if item is not None:
            try:
                found = read_pixels(item)
            except (BadItem, ValueError) as error:
                reason = str(error)
        pixels.append(found)
        _draw_cell(sheet, draw, found, reason, column, y)
    a, b = pixels
    notes = [change.state, printable(change.note)]
    if a is not None and b is not None and change.difference is not None:
        distance, factor = _amplify(a, b)
        _draw_cell(sheet, draw, distance, "", 2, y)
        notes += [f"mean difference {change.difference:.2f} of 255", f"shown {factor:.3g} times as strong"]
    else:
        _draw_cell(sheet, draw, None, "no difference to show", 2, y)
    style, _, name = printable(change.path).rpartition("/")
    lines = [(line, _INK, _TEXT) for line in _wrap(name, font_of(_TEXT), _LABELS - _GAP)]
    lines += [(text, _GREY, _SMALL) for text in (f"style {style}" if style else "", *notes) if text]
    for number, (text, colour, size) in enumerate(lines):
        font = font_of(size)
        draw.text((_MARGIN, y + number * 24), fit_text(text, font, _LABELS - _GAP), colour, font, anchor="la")


def _amplify(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, float]:
    """|A - B| made so strong that its brightest hundredth is white, and how many times that is."""
    import numpy as np

    distance = np.abs(a.astype(np.int16) - b)[..., :3]
    peak = np.percentile(distance, 99)
    if peak == 0:  # few pixels differ, or none but in alpha
        peak = max(distance.max(), 1)
    factor = float(min(max(255 / peak, 1), _MOST))
    return np.clip(np.rint(distance * factor), 0, 255).astype(np.uint8), factor


def _draw_cell(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, pixels: np.ndarray | None, reason: str, column: int, y: int
) -> None:
    """The picture in the middle of its cell, its aspect kept; small ones enlarged without smoothing."""
    from PIL import Image, ImageOps

    x = _left(column)
    if pixels is None:
        draw.rectangle((x, y, x + _CELL - 1, y + _CELL - 1), _EMPTY)
        middle = (x + _CELL // 2, y + _CELL // 2)
        font = font_of(_SMALL)
        draw.text(middle, fit_text(printable(reason), font, _CELL - _GAP), _GREY, font, anchor="mm")
        return
    small = max(pixels.shape[:2]) < _CELL
    method = Image.Resampling.NEAREST if small else Image.Resampling.LANCZOS
    picture = ImageOps.contain(Image.fromarray(pixels).convert("RGB"), (_CELL, _CELL), method)
    sheet.paste(picture, (x + (_CELL - picture.width) // 2, y + (_CELL - picture.height) // 2))


def _left(column: int) -> int:
    return _MARGIN + _LABELS + column * (_CELL + _GAP)


def _wrap(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    """`text` in at most three lines, broken between words."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width or len(lines) == 3 or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
