"""Does this picture show what that one shows? A difference hash that survives saving, resizing and light filters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from contest.entry.pixels import grey_of

if TYPE_CHECKING:
    from PIL import Image

# Bits of 64. Copies of the contest's references (JPEG of quality 30, half the size, blurred, sharpened, with noise) are
# at most 3 away, of the sample's, which are small and flat, 5; two references of one style are at least 10 and 6.
TOLERANCE = 5
_COLUMNS, _ROWS = 9, 8
_STEP = 1  # grey levels; JPEG alone moves the mean of a flat cell by less


def difference_hash(image: Image.Image, box: tuple[float, float, float, float] | None = None) -> int:
    """64 bits: is each of 9x8 mean grey levels darker than its right neighbour's?

    Of the whole picture, or of what is between left, top, right and bottom, in pixels.
    """
    from PIL import Image

    grey = grey_of(image).resize((_COLUMNS, _ROWS), Image.Resampling.BOX, box=box).tobytes()
    value = 0
    for row in range(_ROWS):
        cells = grey[row * _COLUMNS : (row + 1) * _COLUMNS]
        for left, right in zip(cells, cells[1:]):
            value = value << 1 | (right - left > _STEP)
    return value


def distance(one: int, other: int) -> int:
    """In how many bits two hashes differ."""
    return bin(one ^ other).count("1")


def copied_from(value: int, references: Mapping[str, int]) -> str | None:
    """The name of the reference that is nearest to the hash and within TOLERANCE, or None."""
    if not references:
        return None
    name = min(references, key=lambda one: distance(value, references[one]))
    return name if distance(value, references[name]) <= TOLERANCE else None
