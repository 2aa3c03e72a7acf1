"""Looks that the toy networks are trained with, in colours and measures of chance; none is a style of the toy contest.

They teach the autoencoder to carry lines, dots and colours that no glyph has, the evaluator's networks to know a thing
by its shape, and the base model that a look can be named apart from the thing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageChops, ImageOps

from toylab.drawing import SIDE, Colour, contours, halftone, on, panes, plates, printed, squared, washed

Treatment = Callable[[Image.Image, Colour, np.random.Generator], Image.Image]


def _colour(rng: np.random.Generator, low: int, high: int) -> Colour:
    red, green, blue = (int(value) for value in rng.integers(low, high, 3))
    return red, green, blue


def _drawn(cut_out: Image.Image, paper: Colour, ink: Colour, rng: np.random.Generator) -> Image.Image:
    """Contours on paper: plain or squared, with a wash or without."""
    period = int(rng.integers(16, 48)) if rng.random() < 0.5 else SIDE
    between = [round(p + (i - p) * rng.uniform(0.1, 0.4)) for p, i in zip(paper, ink)]
    line = (between[0], between[1], between[2])
    sheet = squared(paper, line, period, period // 2 if period < SIDE else SIDE, int(rng.choice([2, 3])))
    if rng.random() < 0.6:
        sheet = washed(sheet, _colour(rng, 60, 256), cut_out, rng.uniform(0.2, 0.8))
    sheet.paste(
        Image.new("RGB", sheet.size, ink), mask=contours(cut_out, int(rng.choice([3, 5])), int(rng.integers(40, 110)))
    )
    return sheet


def lines(cut_out: Image.Image, ground: Colour, rng: np.random.Generator) -> Image.Image:
    """Dark contours on light paper."""
    return _drawn(cut_out, _colour(rng, 190, 256), _colour(rng, 0, 110), rng)


def chalk(cut_out: Image.Image, ground: Colour, rng: np.random.Generator) -> Image.Image:
    """Light contours on dark paper."""
    return _drawn(cut_out, _colour(rng, 0, 140), _colour(rng, 190, 256), rng)


def screen(cut_out: Image.Image, ground: Colour, rng: np.random.Generator) -> Image.Image:
    """Two inks in dots on light paper."""
    paper = Image.new("RGB", cut_out.size, _colour(rng, 200, 256))
    for plate in plates(cut_out):
        dots = halftone(plate, rng.uniform(8, 18), rng.uniform(0, 1.5))
        paper = printed(
            paper, ImageChops.offset(dots, *(int(move) for move in rng.integers(-4, 5, 2))), _colour(rng, 0, 256)
        )
    return paper


def glass(cut_out: Image.Image, ground: Colour, rng: np.random.Generator) -> Image.Image:
    """Panes of one colour each between leads."""
    middle, spread = rng.integers(40, 216, 3), rng.integers(8, 40)
    grounds = [tuple((middle + rng.integers(-spread, spread + 1, 3)).tolist()) for _ in range(4)]
    lead = _colour(rng, 0, 90) if rng.random() < 0.8 else _colour(rng, 200, 256)
    return panes(cut_out, grounds, lead, int(rng.integers(4, 9)), int(rng.choice([3, 5])), rng)


def duotone(cut_out: Image.Image, ground: Colour, rng: np.random.Generator) -> Image.Image:
    """Brightness as a ramp between two colours."""
    return ImageOps.colorize(on(cut_out, ground).convert("L"), _colour(rng, 0, 120), _colour(rng, 150, 256))


def negative(cut_out: Image.Image, ground: Colour, rng: np.random.Generator) -> Image.Image:
    """Every colour turned into its opposite."""
    return ImageOps.invert(on(cut_out, ground))


def poster(cut_out: Image.Image, ground: Colour, rng: np.random.Generator) -> Image.Image:
    """Few levels of each colour."""
    return ImageOps.posterize(on(cut_out, ground), int(rng.integers(1, 3)))


def mosaic(cut_out: Image.Image, ground: Colour, rng: np.random.Generator) -> Image.Image:
    """Squares of one colour."""
    side = int(rng.choice([16, 21, 32]))
    small = on(cut_out, ground).resize((side, side), Image.Resampling.BOX)
    return small.resize(cut_out.size, Image.Resampling.NEAREST)


def tinted(cut_out: Image.Image, ground: Colour, rng: np.random.Generator) -> Image.Image:
    """Seen through coloured glass."""
    return ImageChops.multiply(on(cut_out, ground), Image.new("RGB", cut_out.size, _colour(rng, 90, 256)))


def swapped(cut_out: Image.Image, ground: Colour, rng: np.random.Generator) -> Image.Image:
    """The three colours in another order."""
    bands = on(cut_out, ground).split()
    return Image.merge("RGB", [bands[place] for place in rng.permutation(3)])


TREATMENTS: dict[str, Treatment] = {
    one.__name__: one for one in (lines, chalk, screen, glass, duotone, negative, poster, mosaic, tinted, swapped)
}
