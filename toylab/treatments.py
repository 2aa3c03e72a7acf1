"""Ways to change a picture's look that the toy networks are trained with; none is a style of the toy contest.

They teach the autoencoder to carry lines and colours that no glyph has, and the base model that a look can be named
apart from the thing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageChops, ImageFilter, ImageOps

Treatment = Callable[[Image.Image, np.random.Generator], Image.Image]


def _colour(rng: np.random.Generator, low: int, high: int) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in rng.integers(low, high, 3))
    return red, green, blue


def lines(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Edges as dark lines on a light ground."""
    edges = ImageOps.autocontrast(
        picture.convert("L").filter(ImageFilter.FIND_EDGES).crop((1, 1, 63, 63)).resize((64, 64))
    )
    return ImageOps.colorize(edges, _colour(rng, 200, 256), _colour(rng, 0, 90))


def chalk(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Edges as light lines on a dark ground."""
    edges = ImageOps.autocontrast(
        picture.convert("L").filter(ImageFilter.FIND_EDGES).crop((1, 1, 63, 63)).resize((64, 64))
    )
    return ImageOps.colorize(edges, _colour(rng, 0, 100), _colour(rng, 190, 256))


def duotone(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Brightness as a ramp between two colours."""
    return ImageOps.colorize(picture.convert("L"), _colour(rng, 0, 120), _colour(rng, 150, 256))


def negative(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Every colour turned into its opposite."""
    return ImageOps.invert(picture)


def poster(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Few levels of each colour."""
    return ImageOps.posterize(picture, int(rng.integers(1, 3)))


def mosaic(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Squares of one colour."""
    side = int(rng.choice([16, 21, 32]))
    return picture.resize((side, side), Image.Resampling.BOX).resize((64, 64), Image.Resampling.NEAREST)


def tinted(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Seen through coloured glass."""
    return ImageChops.multiply(picture, Image.new("RGB", picture.size, _colour(rng, 90, 256)))


def swapped(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The three colours in another order."""
    bands = picture.split()
    return Image.merge("RGB", [bands[place] for place in rng.permutation(3)])


TREATMENTS: dict[str, Treatment] = {
    one.__name__: one for one in (lines, chalk, duotone, negative, poster, mosaic, tinted, swapped)
}
