"""Is this file a whole 8-bit RGB PNG? Pure rules from bytes to findings."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from submission.checks import Finding, finding
from submission.contents import MAX_FILE_BYTES

MAX_SIDE = 4096
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_RGB = 2
_COLOURS = {0: "grey", 2: "RGB", 3: "palette", 4: "grey with alpha", 6: "RGB with alpha"}
_OTHERS = {
    b"\xff\xd8\xff": "a JPEG",
    b"GIF8": "a GIF",
    b"BM": "a BMP",
    b"II*\0": "a TIFF",
    b"MM\0*": "a TIFF",
}
_ORIENTATION = 0x0112  # EXIF tag


class _Broken(Exception):
    """The bytes are not a whole PNG; the message says where."""


@dataclass(frozen=True)
class Picture:
    """What a file turned out to be: `size` is (width, height), None when it could not be read."""

    size: tuple[int, int] | None
    findings: tuple[Finding, ...]


def inspect(path: str, data: bytes) -> Picture:
    """Check one file's bytes. Format: https://www.w3.org/TR/png-3/ sections 5 and 11."""
    if not data.startswith(_SIGNATURE):
        return Picture(None, (finding("S201", path, f"is {_looks_like(data)}"),))
    try:
        chunks, end = _chunks(data)
        width, height, depth, colour = _header(chunks)
    except _Broken as error:
        return Picture(None, (finding("S203", path, str(error)),))
    if max(width, height) > MAX_SIDE:
        return Picture(None, (finding("S207", path, f"is {width}x{height}"),))
    findings = []
    if colour != _RGB or depth != 8:
        findings.append(finding("S202", path, f"is {depth}-bit {_COLOURS.get(colour, f'colour type {colour}')}"))
    elif any(kind == b"tRNS" for kind, _ in chunks):
        findings.append(finding("S202", path, "is 8-bit RGB with a transparent colour"))
    if end < len(data):
        findings.append(finding("S206", path, f"has {len(data) - end} bytes after its end"))
    findings += _decode(path, data[:end])
    return Picture((width, height), tuple(findings))


def too_large(path: str, size: int) -> Picture:
    """The picture for a file that is not even read."""
    return Picture(None, (finding("S207", path, f"has {size} bytes, more than {MAX_FILE_BYTES}"),))


def one_size(sizes: dict[str, tuple[int, int]]) -> Iterator[Finding]:
    """Findings for the pictures that differ from most; `sizes` maps paths to (width, height)."""
    if not sizes:
        return
    counts = Counter(sizes.values())
    usual = max(counts, key=lambda size: (counts[size], size))  # the larger one where equally many
    for path, size in sizes.items():
        if size != usual:
            yield finding("S204", path, f"is {size[0]}x{size[1]}; most are {usual[0]}x{usual[1]}")


def _chunks(data: bytes) -> tuple[list[tuple[bytes, bytes]], int]:
    """Every chunk's (type, content) up to IEND, with its CRC proved, and where IEND ends.

    Pillow alone accepts some files that were cut short, and damaged chunks that it does not need.
    """
    chunks = []
    at = len(_SIGNATURE)
    while True:
        if at + 12 > len(data):
            raise _Broken(f"ends too early, at byte {len(data)}")
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise _Broken(f"ends too early, at byte {len(data)}")
        if zlib.crc32(data[at + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
            raise _Broken(f"is damaged between bytes {at} and {end}")
        chunks.append((kind, data[at + 8 : end - 4]))
        at = end
        if kind == b"IEND":
            return chunks, at


def _header(chunks: list[tuple[bytes, bytes]]) -> tuple[int, int, int, int]:
    kind, content = chunks[0]
    if kind != b"IHDR" or len(content) != 13:
        raise _Broken("does not begin with a PNG header")
    width, height, depth, colour = struct.unpack_from(">IIBB", content)
    if width == 0 or height == 0:
        raise _Broken("has no pixels")
    return width, height, depth, colour


def _decode(path: str, data: bytes) -> list[Finding]:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd EXIF; what matters is its orientation
            with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
                image.load()
                orientation = image.getexif().get(_ORIENTATION, 1)
    except Exception as error:  # Pillow's decoders raise whatever damaged bytes provoke
        return [finding("S203", path, f"cannot be decoded ({error})")]
    if orientation != 1:
        return [finding("S205", path, f"has EXIF orientation {orientation}, which some readers apply")]
    return []


def _looks_like(data: bytes) -> str:
    if not data:
        return "empty"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "a WebP"
    return next((what for start, what in _OTHERS.items() if data.startswith(start)), "no picture format known here")
