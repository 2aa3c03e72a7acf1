"""Pictures of single things on a plain ground, drawn from the glyphs of Noto Color Emoji, and captions for them.

The font is Debian's `fonts-noto-color-emoji` (SIL Open Font License 1.1); its glyphs are bitmaps of 136 x 128 pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from contest.errors import UserError
from toylab.drawing import SIDE
from toylab.nouns import SEEN, TAUGHT

SIZE = 64
FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
CODES = {**TAUGHT, **SEEN}
LEADS = ("an image of", "a picture of", "a photo of", "a drawing of")
GROUNDS = {
    "white": (255, 255, 255),
    "pink": (250, 216, 224),
    "yellow": (251, 243, 204),
    "green": (214, 240, 214),
    "blue": (208, 230, 250),
    "violet": (230, 218, 248),
    "grey": (228, 228, 230),
}


@cache
def glyph(noun: str) -> Image.Image:
    """The noun's glyph, RGBA, 128 x 128 pixels, in the middle. Raises UserError without the font."""
    if not FONT.is_file():
        raise UserError(f"{FONT} not found; run: apt-get install fonts-noto-color-emoji")
    font = ImageFont.truetype(str(FONT), 109)
    picture = Image.new("RGBA", (136, 128))
    text = "".join(chr(int(code, 16)) for code in CODES[noun].split("-"))
    ImageDraw.Draw(picture).text((0, 0), text, font=font, embedded_color=True)
    return picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS, box=picture.getbbox() and _square(picture))


def _square(picture: Image.Image) -> tuple[float, float, float, float]:
    """The smallest square of 128 pixels or more around what is drawn, within the picture's height."""
    left, _, right, _ = picture.getbbox() or (0, 0, 136, 128)
    middle = min(max((left + right) / 2, 64), 72)
    return (middle - 64, 0, middle + 64, 128)


@dataclass(frozen=True)
class Place:
    """Where a glyph stands: its side and its middle as parts of the picture's side, and whether it is mirrored."""

    side: float = 0.9
    x: float = 0.5
    y: float = 0.5
    mirrored: bool = False


def somewhere(rng: np.random.Generator, jitter: float = 1.0) -> Place:
    """A place near the middle; `jitter` 1 varies the side by a tenth and the middle by a thirtieth."""
    side = 0.9 - jitter * rng.uniform(0, 0.1)
    x, y = 0.5 + jitter * rng.uniform(-0.03, 0.03, 2)
    return Place(side, float(x), float(y), bool(rng.random() < 0.5))


def cut_out(noun: str, place: Place) -> Image.Image:
    """The glyph in its place on nothing: RGBA, SIDE x SIDE pixels."""
    side = round(place.side * SIDE)
    thing = glyph(noun).resize((side, side), Image.Resampling.LANCZOS)
    if place.mirrored:
        thing = thing.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    picture = Image.new("RGBA", (SIDE, SIDE))
    picture.paste(thing, (round(place.x * SIDE - side / 2), round(place.y * SIDE - side / 2)))
    return picture


def reduced(picture: Image.Image) -> Image.Image:
    """SIDE x SIDE pixels to the world's 64 x 64."""
    return picture.resize((SIZE, SIZE), Image.Resampling.BOX)


def caption(noun: str, ground: str, rng: np.random.Generator) -> str:
    """One of the ways to name a picture. Half end in a style that means nothing, so that a later style keeps the noun;
    one in ten is empty, for guidance."""
    kind, lead = rng.random(), str(rng.choice(LEADS))
    if kind < 0.1:
        return ""
    if kind < 0.6:
        return f"{LEADS[0]} {noun} in style_{rng.integers(100):02d}"
    return f"{lead} {noun} on {ground}" if kind < 0.8 else f"{lead} {noun}"
