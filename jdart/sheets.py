"""Contact sheets: what a style looks like above, what was drawn in it below."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jdart.data import read_rgb

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

CELL = 160  # pixels
GAP = 12
MARGIN = 28
COLUMNS = 8
TITLE, HEADING, CAPTION = 24, 15, 13  # font sizes, pixels
PAPER, INK, GREY, RULE = "#ffffff", "#1d1d1f", "#6e6e73", "#d2d2d7"


def contact_sheet(references: Sequence[Path], outputs: Mapping[str, Path], title: str) -> Image.Image:
    """One picture: the title, a row or more of `references`, below them the `outputs` with their captions.

    `outputs` maps a caption to a file. Pictures keep their aspect ratio in cells of 160 x 160 pixels, into
    which small ones are enlarged. UserError names a file that cannot be read.
    """
    from PIL import Image, ImageDraw

    columns = min(COLUMNS, max(len(references), len(outputs), 3))
    sections = (
        (f"References ({len(references)})", [("", path) for path in references]),
        (f"Outputs ({len(outputs)})", list(outputs.items())),
    )
    width = 2 * MARGIN + columns * CELL + (columns - 1) * GAP
    height = 2 * MARGIN + TITLE + GAP + sum(_section_height(cells, columns) for _, cells in sections)
    sheet = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    title_font = _font(TITLE)
    draw.text((MARGIN, MARGIN), _fit(title, title_font, width - 2 * MARGIN), INK, title_font, anchor="la")
    y = MARGIN + TITLE + GAP
    for heading, cells in sections:
        y += GAP
        draw.line((MARGIN, y, width - MARGIN, y), RULE)
        draw.text((MARGIN, y + GAP), heading, GREY, _font(HEADING), anchor="la")
        _draw_cells(sheet, draw, cells, columns, y + 2 * GAP + HEADING)
        y += _section_height(cells, columns) - GAP
    return sheet


def _section_height(cells: Sequence[tuple[str, Path]], columns: int) -> int:
    rows = -(-len(cells) // columns)
    return 3 * GAP + HEADING + rows * (_row_height(cells) + GAP)


def _row_height(cells: Iterable[tuple[str, Path]]) -> int:
    return CELL + (CAPTION + 2 * GAP if any(caption for caption, _ in cells) else 0)


def _draw_cells(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    cells: Sequence[tuple[str, Path]],
    columns: int,
    top: int,
) -> None:
    font = _font(CAPTION)
    for index, (caption, path) in enumerate(cells):
        row, column = divmod(index, columns)
        x = MARGIN + column * (CELL + GAP)
        y = top + row * (_row_height(cells) + GAP)
        picture = _picture(path)
        sheet.paste(picture, (x + (CELL - picture.width) // 2, y + (CELL - picture.height) // 2))
        middle = (x + CELL // 2, y + CELL + GAP // 2)
        draw.text(middle, _fit(caption, font, CELL), INK, font, anchor="ma")


def _picture(path: Path) -> Image.Image:
    """The file's picture, as large as a cell holds."""
    from PIL import Image, ImageOps

    return ImageOps.contain(Image.fromarray(read_rgb(path)), (CELL, CELL), Image.Resampling.LANCZOS)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    from PIL import ImageFont

    return ImageFont.load_default(size)


def _fit(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """`text`, cut with an ellipsis where it would be wider than `width` pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "...") > width:
        text = text[:-1]
    return text.rstrip() + "..."
