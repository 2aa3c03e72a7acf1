"""Pictures for the web: what a file is, told by its first bytes, and WebP files of a size made from it."""

from __future__ import annotations

import io
import struct
import warnings
from typing import TYPE_CHECKING

from contest.entry.pixels import grey_of, unreadable
from contest.entry.png import SIGNATURE
from contest.entry.webp import require_webp

if TYPE_CHECKING:
    from PIL import Image

# A picture that cannot be decoded after all is shown as this: a WebP of one grey pixel.
GREY = bytes.fromhex("52494646240000005745425056503820180000005001009d012a0100010001402625a40004740000e4400000")
_MOST_PIXELS = 40_000_000
LARGEST = 1 << 20  # a thumbnail has some KiB; this only keeps nonsense out of the site
LARGEST_SHEET = 32 << 20


def plain_webp_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) of a WebP file with one still picture and nothing else in it, else None.

    Layout: https://developers.google.com/speed/webp/docs/riff_container
    """
    if len(data) < 30 or len(data) > LARGEST or data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return None
    whole, first = struct.unpack("<I", data[4:8])[0] + 8, struct.unpack("<I", data[16:20])[0]
    if whole != len(data) or 20 + first + first % 2 != len(data):
        return None
    if data[12:16] == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    if data[12:16] == b"VP8L" and data[20] == 0x2F:
        bits = struct.unpack("<I", data[21:25])[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return None


def webp_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) that a WebP file of any kind says it has, else None."""
    if data[:4] == b"RIFF" and data[8:16] == b"WEBPVP8X" and len(data) >= 30:
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    return plain_webp_size(data)


def png_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) that a PNG file says it has, else None."""
    if not data.startswith(SIGNATURE) or data[12:16] != b"IHDR" or len(data) < 33:
        return None
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def fits(size: tuple[int, int] | None, most: int = _MOST_PIXELS) -> bool:
    """Whether a picture of that size may be decoded at all."""
    return size is not None and 0 < size[0] * size[1] <= most


def resized(data: bytes, side: int, quality: int = 80) -> bytes:
    """A WebP file of at most side x side pixels, never enlarged; `GREY` where the data cannot be decoded.

    Transparency is shown over white. The same bytes for the same data and Pillow version.
    """
    from PIL import Image

    require_webp()
    no_picture: tuple[type[Exception], ...] = (*unreadable(), MemoryError)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = _as_seen(Image.open(io.BytesIO(data), formats=("WEBP", "PNG")))
    except no_picture:
        return GREY
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=quality, method=4)
    return stream.getvalue()


def _as_seen(image: Image.Image) -> Image.Image:
    """RGB; Pillow alone would clip what has 16 bits, and show what is transparent."""
    from PIL import Image

    if image.mode.startswith("I"):
        return grey_of(image).convert("RGB")
    if image.mode[-1] in "Aa" or "transparency" in image.info:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")
