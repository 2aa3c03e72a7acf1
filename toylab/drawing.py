"""What looks are drawn with: contours, squared paper, halftones, panes. Pictures have SIDE x SIDE pixels.

A cut-out is an RGBA picture of a thing on nothing.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

Colour = tuple[int, int, int]
SIDE = 128
SOLID = 100  # alpha above which a pixel belongs to the thing


def on(cut_out: Image.Image, ground: Colour) -> Image.Image:
    """The thing on a plain ground, RGB."""
    picture = Image.new("RGBA", cut_out.size, (*ground, 255))
    picture.alpha_composite(cut_out)
    return picture.convert("RGB")


def shape(cut_out: Image.Image) -> Image.Image:
    """White where the thing is, black elsewhere."""
    return cut_out.getchannel("A").point(lambda a: 255 if a > SOLID else 0)


def contours(cut_out: Image.Image, width: int, threshold: int = 60) -> Image.Image:
    """Contours of shape and colour, white on black, `width` pixels wide (odd); few of them with a high `threshold`."""
    inner = [band.filter(ImageFilter.FIND_EDGES) for band in on(cut_out, (128, 128, 128)).split()]
    strongest = ImageChops.lighter(ImageChops.lighter(inner[0], inner[1]), inner[2])
    outline = shape(cut_out).filter(ImageFilter.FIND_EDGES)
    drawn = ImageChops.lighter(strongest.point(lambda v: 255 if v > threshold else 0), outline)
    ImageDraw.Draw(drawn).rectangle((0, 0, SIDE - 1, SIDE - 1), outline=0)  # the filter leaves the border as it was
    return drawn.filter(ImageFilter.MaxFilter(width))


def squared(paper: Colour, line: Colour, period: int, first: int, width: int) -> Image.Image:
    """Paper with lines every `period` pixels both ways."""
    picture = Image.new("RGB", (SIDE, SIDE), paper)
    draw = ImageDraw.Draw(picture)
    for at in range(first, SIDE, period):
        draw.line([(at, 0), (at, SIDE)], line, width)
        draw.line([(0, at), (SIDE, at)], line, width)
    return picture


def washed(paper: Image.Image, colour: Colour, cut_out: Image.Image, strength: float) -> Image.Image:
    """`colour` laid over the thing's light parts, `strength` from 0 to 1."""
    light = on(cut_out, (0, 0, 0)).convert("L").point(lambda v: round(v * strength))
    return Image.composite(Image.new("RGB", paper.size, colour), paper, ImageChops.darker(light, shape(cut_out)))


def halftone(tone: Image.Image, period: float, angle: float) -> Image.Image:
    """Ink (white) where a wave at `angle` (radians) with `period` pixels is below `tone` (L)."""
    y, x = np.mgrid[:SIDE, :SIDE]
    turn = 2 * np.pi / period
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    wave = 127.5 + 63.75 * (np.cos(turn * along) + np.cos(turn * across))
    ink = np.clip((np.asarray(tone, np.float32) * 1.15 - wave * 0.85) * 4, 0, 255)
    return Image.fromarray(ink.astype(np.uint8))


def printed(paper: Image.Image, plate: Image.Image, ink: Colour) -> Image.Image:
    """`paper` after a print of `ink` where `plate` (L) is white; inks darken what lies below."""
    layer = Image.new("RGB", paper.size, (255, 255, 255))
    layer.paste(Image.new("RGB", paper.size, ink), mask=plate)
    return ImageChops.multiply(paper, layer)


def plates(cut_out: Image.Image) -> tuple[Image.Image, Image.Image]:
    """How much warm and how much cool ink the thing on white paper takes (L)."""
    red, _, blue = on(cut_out, (255, 255, 255)).split()
    return ImageOps.invert(blue), ImageOps.invert(red)


def panes(
    cut_out: Image.Image, grounds: list[Colour], lead: Colour, across: int, width: int, rng: np.random.Generator
) -> Image.Image:
    """Panes of one colour each, about `across` in a row, held by leads; the thing's contour is a lead too."""
    grid = np.stack(np.mgrid[:across, :across], -1).reshape(-1, 2)
    seeds = (grid + rng.uniform(0.15, 0.85, grid.shape)) * (SIDE / across)
    y, x = np.mgrid[:SIDE, :SIDE]
    nearest = ((y[..., None] - seeds[:, 0]) ** 2 + (x[..., None] - seeds[:, 1]) ** 2).argmin(-1)
    inside = np.asarray(shape(cut_out)) > 0
    picture = np.asarray(grounds, np.float64)[rng.integers(len(grounds), size=len(seeds))][nearest]
    colours, cells = np.asarray(on(cut_out, (255, 255, 255)), np.float64)[inside], nearest[inside]
    counts = np.maximum(np.bincount(cells, minlength=len(seeds)), 1)
    means = np.stack([np.bincount(cells, colours[:, band], len(seeds)) / counts for band in range(3)], 1)
    picture[inside] = np.clip((means[cells] - 128) * 1.3 + 112, 0, 255)
    number = nearest * 2 + inside
    edge = np.zeros((SIDE, SIDE), np.uint8)
    edge[1:, :] |= number[1:, :] != number[:-1, :]
    edge[:, 1:] |= number[:, 1:] != number[:, :-1]
    leads = Image.fromarray(edge * 255).filter(ImageFilter.MaxFilter(width))
    drawn = Image.fromarray(picture.astype(np.uint8))
    drawn.paste(Image.new("RGB", drawn.size, lead), mask=leads)
    return drawn
