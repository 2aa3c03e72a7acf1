"""The three styles of the toy contest, each drawn from a glyph's cut-out. No network sees one of them.

The looks that the networks learn with (treatments.py) are relatives: drawn with the same tools, in other colours and
measures, as a real model has seen blueprints before it sees these.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from toylab.drawing import contours, halftone, panes, plates, printed, shape, squared, washed

Style = Callable[[Image.Image, np.random.Generator], Image.Image]


def blueprint(cut_out: Image.Image, rng: np.random.Generator) -> Image.Image:
    """White contours and a pale wash on blue squared paper."""
    paper = squared((24, 70, 150), (58, 106, 184), 32, int(rng.integers(4, 28)), 3)
    paper = washed(paper, (150, 190, 240), cut_out, 0.4)
    paper.paste(Image.new("RGB", paper.size, (240, 247, 255)), mask=contours(cut_out, 3))
    return paper


def risograph(cut_out: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Two inks, pink and teal, in dots on cream paper, one plate out of place."""
    warm, cool = plates(cut_out)
    shift = int(rng.integers(2, 5))
    paper = printed(Image.new("RGB", cut_out.size, (250, 243, 224)), halftone(warm, 12, 0.35), (255, 72, 120))
    return printed(paper, ImageChops.offset(halftone(cool, 12, 1.1), shift, -shift // 2), (0, 131, 138))


def stained_glass(cut_out: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Panes of one deep colour each, held by dark leads, before large panes of pale blue."""
    grounds = [(168, 206, 230), (190, 220, 238), (150, 194, 224), (206, 230, 240)]
    window = panes(Image.new("RGBA", cut_out.size), grounds, (110, 150, 180), 3, 3, rng)
    window.paste(panes(cut_out, grounds, (34, 28, 40), 6, 3, rng), mask=shape(cut_out).filter(ImageFilter.MaxFilter(3)))
    return window


STYLES: dict[str, Style] = {"00": blueprint, "01": risograph, "02": stained_glass}
