"""The three styles of the toy contest, each drawn from a glyph's cut-out, and looking like no treatment.

A style takes an RGBA cut-out of 256 x 256 pixels and gives the RGB picture; the contest reduces it to 64 x 64.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

Style = Callable[[Image.Image, np.random.Generator], Image.Image]
SIDE = 256


def _on(cut_out: Image.Image, ground: tuple[int, int, int]) -> Image.Image:
    picture = Image.new("RGBA", cut_out.size, (*ground, 255))
    picture.alpha_composite(cut_out)
    return picture.convert("RGB")


def _edges(cut_out: Image.Image, width: int) -> Image.Image:
    """Contours of shape and colour, white on black, `width` pixels wide (odd)."""
    inner = [band.filter(ImageFilter.FIND_EDGES) for band in _on(cut_out, (128, 128, 128)).split()]
    strongest = ImageChops.lighter(ImageChops.lighter(inner[0], inner[1]), inner[2])
    outline = cut_out.getchannel("A").point(lambda a: 255 if a > 100 else 0).filter(ImageFilter.FIND_EDGES)
    drawn = ImageChops.lighter(strongest.point(lambda v: 255 if v > 70 else 0), outline)
    drawn.paste(0, (0, 0, SIDE, 2))
    drawn.paste(0, (0, SIDE - 2, SIDE, SIDE))
    drawn.paste(0, (0, 0, 2, SIDE))
    drawn.paste(0, (SIDE - 2, 0, SIDE, SIDE))
    return drawn.filter(ImageFilter.MaxFilter(width))


def blueprint(cut_out: Image.Image, rng: np.random.Generator) -> Image.Image:
    """White contours and a pale wash on blue paper with a grid."""
    paper = Image.new("RGB", (SIDE, SIDE), (24, 70, 150))
    draw = ImageDraw.Draw(paper)
    first = int(rng.integers(8, 24))
    for at in range(first, SIDE, 32):
        draw.line([(at, 0), (at, SIDE)], (58, 106, 184), 4)
        draw.line([(0, at), (SIDE, at)], (58, 106, 184), 4)
    light = _on(cut_out, (0, 0, 0)).convert("L").point(lambda v: v // 3)
    paper.paste(Image.new("RGB", paper.size, (150, 190, 240)), mask=ImageChops.darker(light, cut_out.getchannel("A")))
    paper.paste(Image.new("RGB", paper.size, (240, 247, 255)), mask=_edges(cut_out, 5))
    return paper


def risograph(cut_out: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Two inks, pink and teal, in dots on cream paper, one plate out of place."""
    colours = _on(cut_out, (255, 255, 255))
    red, _, blue = colours.split()
    warm, cool = ImageOps.invert(blue), ImageOps.invert(red)
    shift = int(rng.integers(4, 9))
    plates = (
        (_dots(warm, 16, 0.35), (255, 72, 120), (0, 0)),
        (_dots(cool, 16, 1.1), (0, 131, 138), (shift, -shift // 2)),
    )
    paper = Image.new("RGB", (SIDE, SIDE), (250, 243, 224))
    for plate, ink, moved in plates:
        layer = Image.new("RGB", paper.size, (255, 255, 255))
        layer.paste(Image.new("RGB", paper.size, ink), mask=ImageChops.offset(plate, *moved))
        paper = ImageChops.multiply(paper, layer)
    return paper


def _dots(tone: Image.Image, period: float, angle: float) -> Image.Image:
    """A halftone: where a wave at `angle` (radians) with `period` pixels is below the tone, there is ink."""
    y, x = np.mgrid[:SIDE, :SIDE]
    turn = 2 * np.pi / period
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    wave = 127.5 + 63.75 * (np.cos(turn * along) + np.cos(turn * across))
    ink = np.clip((np.asarray(tone, np.float32) * 1.15 - wave * 0.85) * 4, 0, 255)
    return Image.fromarray(ink.astype(np.uint8))


def stained_glass(cut_out: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Panes of one deep colour each, held by dark leads; the ground is panes of pale blue."""
    side = 8
    grid = np.stack(np.mgrid[:side, :side], -1).reshape(-1, 2)
    seeds = (grid + rng.uniform(0.15, 0.85, grid.shape)) * (SIDE / side)
    y, x = np.mgrid[:SIDE, :SIDE]
    nearest = ((y[..., None] - seeds[:, 0]) ** 2 + (x[..., None] - seeds[:, 1]) ** 2).argmin(-1)
    inside = np.asarray(cut_out.getchannel("A")) > 100
    colours = np.asarray(_on(cut_out, (255, 255, 255)), np.float32)
    grounds = np.array([(168, 206, 230), (190, 220, 238), (150, 194, 224), (206, 230, 240)], np.float32)
    picture = grounds[rng.integers(len(grounds), size=len(seeds))][nearest]
    for pane in np.unique(nearest[inside]):
        here = inside & (nearest == pane)
        picture[here] = np.clip((colours[here].mean(0) - 128) * 1.3 + 112, 0, 255)
    panes = Image.fromarray((nearest * 3 + inside).astype(np.uint8))
    leads = panes.filter(ImageFilter.FIND_EDGES).point(lambda v: 255 if v else 0).filter(ImageFilter.MaxFilter(5))
    drawn = Image.fromarray(picture.astype(np.uint8))
    drawn.paste(Image.new("RGB", drawn.size, (34, 28, 40)), mask=leads)
    return drawn


STYLES: dict[str, Style] = {"00": blueprint, "01": risograph, "02": stained_glass}
