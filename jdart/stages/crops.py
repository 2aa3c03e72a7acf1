"""The squares that training will see, on one sheet."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from contest.disk.files import write_bytes
from contest.errors import UserError
from jdart.config import DataConfig
from jdart.data.report import StyleRows

CELL, GAP, LINE, COLUMNS = 160, 10, 18, 8  # pixels, pixels, pixels, squares a row
PAPER, INK, GREY = "#ffffff", "#1d1d1f", "#6e6e73"


def write_crops(path: Path, styles: Sequence[StyleRows], config: DataConfig, seed: int) -> None:
    """Write a PNG of every square that is cut out of the pictures, a block a style, each with its picture's name.

    Squares are those of `jdart.training.examples.cut`, made smaller. UserError when there is none.
    """
    from PIL import Image, ImageDraw, ImageFont

    from jdart.training.examples import cut

    blocks = []
    for own in styles:
        pictures = [row.picture for row in own.rows if row.left_out is None and row.problem is None]
        blocks.append((own.style, [(p.path.name, square) for p in pictures for square in cut(p, config, seed)]))
    blocks = [(style, cells) for style, cells in blocks if cells]
    if not blocks:
        raise UserError("no picture is left to draw; see the report above")
    columns = min(COLUMNS, max(len(cells) for _, cells in blocks))
    heights = [LINE + GAP + -(-len(cells) // columns) * (CELL + LINE + GAP) + GAP for _, cells in blocks]
    sheet = Image.new("RGB", (GAP + columns * (CELL + GAP), GAP + sum(heights)), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    top = GAP
    for (style, cells), height in zip(blocks, heights):
        heading = f"style {style}: {len(cells)} squares of {config.size} x {config.size}"
        draw.text((GAP, top), heading, INK, font)
        for number, (name, square) in enumerate(cells):
            row, column = divmod(number, columns)
            x, y = GAP + column * (CELL + GAP), top + LINE + GAP + row * (CELL + LINE + GAP)
            sheet.paste(Image.fromarray(square).resize((CELL, CELL), Image.Resampling.LANCZOS), (x, y))
            while font.getlength(name) > CELL:
                name = name[:-4] + "..."
            draw.text((x, y + CELL + 2), name, GREY, font)
        top += height
    stream = io.BytesIO()
    sheet.save(stream, "PNG")
    write_bytes(path, stream.getvalue())
