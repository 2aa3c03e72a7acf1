"""Contact sheets: what a style looks like above, what was drawn in it below."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from contest.lettering import fit_text, font_of
from jdart.data.pictures import read_rgb

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

CELL, SMALL = 160, 96  # pixels
GAP = 12
MARGIN = 28
COLUMNS = 8
TITLE, HEADING, CAPTION = 24, 15, 13  # font sizes, pixels
PAPER, INK, GREY, RULE = "#ffffff", "#1d1d1f", "#6e6e73", "#d2d2d7"


def contact_sheet(
    references: Sequence[Path], outputs: Mapping[str, Path], title: str, columns: int | None = None
) -> Image.Image:
    """One picture: the title, a row or more of `references`, below them the `outputs` with their captions.

    `outputs` maps a caption to a file. Pictures keep their aspect ratio in cells of 160 x 160 pixels, into
    which small ones are enlarged. `columns` are up to 8, and as many by default as are needed. UserError names a
    file that cannot be read.
    """
    from PIL import Image, ImageDraw

    columns = min(COLUMNS, max(len(references), len(outputs), 3) if columns is None else columns)
    sections = (
        (f"References ({len(references)})", [("", path) for path in references]),
        (f"Outputs ({len(outputs)})", list(outputs.items())),
    )
    width = 2 * MARGIN + columns * CELL + (columns - 1) * GAP
    height = 2 * MARGIN + TITLE + GAP + sum(_section_height(cells, columns) for _, cells in sections)
    sheet = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    title_font = font_of(TITLE)
    draw.text((MARGIN, MARGIN), fit_text(title, title_font, width - 2 * MARGIN), INK, title_font, anchor="la")
    y = MARGIN + TITLE + GAP
    for heading, cells in sections:
        y += GAP
        draw.line((MARGIN, y, width - MARGIN, y), RULE)
        draw.text((MARGIN, y + GAP), heading, GREY, font_of(HEADING), anchor="la")
        _draw_cells(sheet, draw, cells, columns, y + 2 * GAP + HEADING)
        y += _section_height(cells, columns) - GAP
    return sheet


def grid(captions: Sequence[str], rows: Mapping[str, Sequence[Path]]) -> Image.Image:
    """One picture: `captions` above columns, a row for each of `rows` (name -> files), its name before it.

    Cells are 96 x 96 pixels. UserError names a file that cannot be read.
    """
    from PIL import Image, ImageDraw

    font, step = font_of(CAPTION), SMALL + GAP // 3
    left = 2 * GAP + max(round(font.getlength(name)) for name in rows)
    top = 2 * GAP + CAPTION
    sheet = Image.new("RGB", (left + len(captions) * step + GAP, top + len(rows) * step + GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    for column, caption in enumerate(captions):
        middle = (left + column * step + SMALL // 2, GAP)
        draw.text(middle, fit_text(caption, font, SMALL), INK, font, anchor="ma")
    for row, (name, files) in enumerate(rows.items()):
        y = top + row * step
        draw.text((left - GAP, y + SMALL // 2), name, INK, font, anchor="rm")
        for column, path in enumerate(files):
            picture = _picture(path, SMALL)
            middle = (left + column * step + (SMALL - picture.width) // 2, y + (SMALL - picture.height) // 2)
            sheet.paste(picture, middle)
    return sheet


def strip(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Pictures of one height (H,W,3 uint8) side by side, white between them."""
    gap = np.full((pictures[0].shape[0], GAP, 3), 255, np.uint8)
    parts = [part for picture in pictures for part in (gap, picture)]
    return np.concatenate(parts[1:], axis=1)


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
    font = font_of(CAPTION)
    for index, (caption, path) in enumerate(cells):
        row, column = divmod(index, columns)
        x = MARGIN + column * (CELL + GAP)
        y = top + row * (_row_height(cells) + GAP)
        picture = _picture(path)
        sheet.paste(picture, (x + (CELL - picture.width) // 2, y + (CELL - picture.height) // 2))
        middle = (x + CELL // 2, y + CELL + GAP // 2)
        draw.text(middle, fit_text(caption, font, CELL), INK, font, anchor="ma")


def _picture(path: Path, side: int = CELL) -> Image.Image:
    """The file's picture, as large as a cell holds."""
    from PIL import Image, ImageOps

    return ImageOps.contain(Image.fromarray(read_rgb(path)), (side, side), Image.Resampling.LANCZOS)
