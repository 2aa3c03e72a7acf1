"""The pixels of a PNG by their true values: all 16 bits, and which are transparent. Pillow alone shows eight of them.

Format: https://www.w3.org/TR/png-3/ sections 6, 11.3.1 and 13.12.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING

from contest.entry.png import GREY, GREY_ALPHA, RGB, read_chunks, read_header

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

_LEVELS = 257  # of 16 bits to one of 8: 65535 / 255


def unreadable() -> tuple[type[Exception], ...]:
    """What Pillow raises for a picture that is damaged, or that says that it is enormous: its readers of chunks and
    tags hand on whatever the bytes in them provoke.
    """
    from PIL import Image

    of_bytes = (OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)
    return *of_bytes, LookupError, TypeError, AttributeError, ArithmeticError, AssertionError, RuntimeError


def read_exact(data: bytes) -> np.ndarray:
    """A PNG as H,W,4: red, green, blue and alpha, uint16 where it has 16 bits a channel, else uint8.

    A transparent colour has alpha 0 and stays what it is. Raises BrokenPng, and what is `unreadable`.
    """
    import numpy as np
    from PIL import Image

    chunks, _ = read_chunks(data)
    header = read_header(chunks)
    keys = next((bytes(chunk.content) for chunk in chunks if chunk.kind == b"tRNS"), b"")
    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        if header.depth < 16 and header.colour != GREY:
            return np.asarray(image.convert("RGBA"))
        image.info.pop("transparency", None)  # compared below; Pillow compares it with scaled values
        if header.colour != GREY:
            values = _read_words(data, header.colour)
        elif header.depth < 16:
            values = np.asarray(image.convert("L"))[..., None]
        else:
            values = np.asarray(image).astype(np.uint16)[..., None]
    most = np.iinfo(values.dtype).max
    if values.shape[2] in (2, 4):
        colours, alpha = values[..., :-1], values[..., -1:]
    else:
        colours, alpha = values, np.full_like(values[..., :1], most)
        if len(keys) == 2 * values.shape[2]:
            step = most // ((1 << header.depth) - 1)  # of grey with fewer than 8 bits, which Pillow has scaled
            key = np.array(struct.unpack(f">{values.shape[2]}H", keys)) * step
            alpha = np.where((values == key).all(axis=2, keepdims=True), 0, alpha).astype(values.dtype)
    return np.concatenate([np.broadcast_to(colours, (*alpha.shape[:2], 3)), alpha], axis=2)


def to_eight_bits(pixels: np.ndarray) -> np.ndarray:
    """What `read_exact` gives, as uint8: value / 257, rounded."""
    import numpy as np

    return (
        pixels if pixels.dtype == np.uint8 else ((pixels.astype(np.uint32) + _LEVELS // 2) // _LEVELS).astype(np.uint8)
    )


def grey_of(image: Image.Image) -> Image.Image:
    """A picture of any mode as eight-bit grey, by its true values: Pillow clips what has more than eight bits.

    Floating-point values have no agreed range, so theirs is taken.
    """
    import numpy as np
    from PIL import Image

    if image.mode.startswith("I"):
        return image.convert("I").point(lambda value: value / _LEVELS + 0.5).convert("L")
    if image.mode == "F":
        values = np.asarray(image)
        low, high = float(values.min()), float(values.max())
        return Image.fromarray(((values - low) * (255 / max(high - low, 1e-30))).astype(np.uint8))
    return image.convert("L")


def _read_words(data: bytes, colour: int) -> np.ndarray:
    """H,W,channels uint16 of a PNG with 16 bits a channel that is not plain grey."""
    import numpy as np
    from PIL import Image

    def rows(raw_mode: str) -> np.ndarray:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            image.tile = [(*image.tile[0][:3], raw_mode)]
            return np.asarray(image)

    if colour == GREY_ALPHA:  # two pairs of bytes, read as four channels
        return np.ascontiguousarray(rows("RGBA")).view(">u2").astype(np.uint16)
    mode = "RGB" if colour == RGB else "RGBA"
    high = rows(f"{mode};16B")
    words = np.empty(high.shape, "<u2")
    pair = words.view(np.uint8).reshape(*high.shape, 2)
    pair[..., 1] = high
    pair[..., 0] = rows(f"{mode};16L")  # which takes the second byte of each pair for the high one
    return words.astype(np.uint16, copy=False)
