"""PNGs of every kind, written byte by byte, since no library writes them all, and what they show."""

import zlib

import numpy as np
from tiny_entry import chunk

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
DEPTHS = {GREY: (1, 2, 4, 8, 16), RGB: (8, 16), PALETTE: (1, 2, 4, 8), GREY_ALPHA: (8, 16), RGBA: (8, 16)}
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
# colour, depth, whether some of it is transparent, whether it is interlaced
KINDS = [
    (colour, depth, transparent, interlaced)
    for colour, depths in DEPTHS.items()
    for depth in depths
    for transparent in (False, True)
    for interlaced in (False, True)
    if not (transparent and colour in (GREY_ALPHA, RGBA))
]


def encode(samples, colour, depth, interlaced=False, before=b""):
    """`samples` are H,W,channels whole numbers below 2**depth; `before` are chunks that come before the pixels."""
    height, width = samples.shape[:2]
    parts = [samples[y::dy, x::dx] for x, y, dx, dy in _PASSES] if interlaced else [samples]
    rows = b"".join(b"\0" + _row(row.reshape(-1), depth) for part in parts if part.size for row in part)
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((depth, colour, 0, 0, int(interlaced)))
    pixels = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + pixels + chunk(b"IEND", b"")


def _row(values, depth):
    if depth == 16:
        return values.astype(">u2").tobytes()
    bits = np.unpackbits(values.astype(np.uint8)[:, None], axis=1)[:, 8 - depth :]
    return np.packbits(bits.reshape(-1)).tobytes()


def picture(colour, depth, transparent=False, interlaced=False, size=(11, 9), seed=0):
    """A PNG's bytes, and what it shows: H,W,4 whole numbers up to 255, or 65535 where it has 16 bits.

    `transparent`: one colour of it is, or each of a palette to its own degree.
    """
    draw = np.random.default_rng([seed, colour, depth])
    samples = draw.integers(0, 1 << depth, (size[1], size[0], CHANNELS[colour]))
    most = 65535 if depth == 16 else 255
    alpha = np.full((size[1], size[0], 1), most)
    before = b""
    if colour == PALETTE:
        palette = draw.integers(0, 256, (1 << depth, 3))
        degrees = draw.integers(0, 256, 1 << depth)
        before = chunk(b"PLTE", palette.astype(np.uint8).tobytes())
        if transparent:
            before += chunk(b"tRNS", degrees.astype(np.uint8).tobytes())
            alpha = degrees[samples]
        colours = palette[samples[..., 0]]
    else:
        scaled = samples * (most // ((1 << depth) - 1))
        if colour in (GREY_ALPHA, RGBA):
            scaled, alpha = scaled[..., :-1], scaled[..., -1:]
        elif transparent:
            key = samples[3, 4]
            before = chunk(b"tRNS", key.astype(">u2").tobytes())
            alpha = np.where((samples == key).all(axis=2, keepdims=True), 0, most)
        colours = np.broadcast_to(scaled, (*scaled.shape[:2], 3))
    return encode(samples, colour, depth, interlaced, before), np.concatenate([colours, alpha], axis=2)
