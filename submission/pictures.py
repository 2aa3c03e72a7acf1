"""Is this file a whole 8-bit RGB PNG with something on it? Pure rules from bytes to findings."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from submission.alike import difference_hash
from submission.checks import Finding, finding
from submission.contest import Limits
from submission.listing import BadItem, Item
from submission.png import COLOURS, RGB, SIGNATURE, BrokenPng, Chunk, colour_space, read_chunks, read_header, read_texts

if TYPE_CHECKING:
    from PIL import Image

_OTHERS = {
    b"\xff\xd8\xff": "a JPEG",
    b"GIF8": "a GIF",
    b"BM": "a BMP",
    b"II*\0": "a TIFF",
    b"MM\0*": "a TIFF",
}
_ORIENTATION = 0x0112  # EXIF tag
_FLAT = 2  # levels that each channel spans at most in a blank picture; a JPEG of one colour has as many
_THREADS = 2  # each may hold a picture as large as the contest takes; more gain little
_BAND = 256  # rows hashed at a time, so that a large picture is not in memory twice


@dataclass(frozen=True)
class Picture:
    """What a file turned out to be.

    `size` is (width, height), None when it could not be read. `pixels` is a digest of the pixels and `looks` their
    difference hash; both are None when it could not be decoded or is blank. `texts` maps keywords to what the file
    says about itself.
    """

    size: tuple[int, int] | None
    findings: tuple[Finding, ...]
    pixels: str | None = None
    looks: int | None = None
    texts: Mapping[str, str] = field(default_factory=dict)


def inspect(path: str, data: bytes, limits: Limits = Limits()) -> Picture:  # noqa: B008
    """Check one file's bytes; nothing is decoded before its header is within the limits."""
    if not data.startswith(SIGNATURE):
        return Picture(None, (finding("S201", path, f"is {_looks_like(data)}"),))
    try:
        chunks, end = read_chunks(data)
        header = read_header(chunks)
    except BrokenPng as error:
        return Picture(None, (finding("S203", path, str(error)),))
    size = (header.width, header.height)
    if max(size) > limits.side:
        return Picture(None, (_too_large(path, f"is {header.width}x{header.height}", limits),))
    findings = list(_chunk_findings(path, chunks))
    if header.colour != RGB or header.depth != 8:
        colour = COLOURS.get(header.colour, f"colour type {header.colour}")
        findings.append(finding("S202", path, f"is {header.depth}-bit {colour}"))
    elif any(chunk.kind == b"tRNS" for chunk in chunks):
        findings.append(finding("S202", path, "is 8-bit RGB with a transparent colour"))
    if end < len(data):
        findings.append(finding("S206", path, f"has {len(data) - end} bytes after its end"))
    pixels = looks = None
    try:
        image, orientation = _decode(data[:end])
    except Exception as error:  # Pillow's decoders raise whatever damaged bytes provoke
        findings.append(finding("S203", path, f"cannot be decoded ({error})"))
    else:
        if orientation != 1:
            findings.append(finding("S205", path, f"has EXIF orientation {orientation}, which some readers apply"))
        if all(high - low <= _FLAT for low, high in _extrema(image)):
            findings.append(finding("S210", path, "has one colour only"))
        else:
            pixels, looks = _digest(image), difference_hash(image)
    return Picture(size, tuple(findings), pixels, looks, dict(read_texts(chunks)))


def inspect_items(items: Sequence[Item], limits: Limits, decode: bool = True) -> dict[str, Picture]:
    """Every picture by its path. Without `decode` only sizes of files are looked at."""
    import PIL.PngImagePlugin  # noqa: F401  # here, because threads that load it together hinder each other

    def look(item: Item) -> Picture:
        if item.size > limits.file_bytes:
            return Picture(None, (_too_large(item.path, f"has {item.size} bytes", limits),))
        if not decode:
            return Picture(None, ())
        try:
            data = item.read()
        except BadItem as error:
            return Picture(None, (finding(error.code, item.path, str(error)),))
        return inspect(item.path, data, limits)

    with warnings.catch_warnings(), ThreadPoolExecutor(_THREADS) as pool:
        warnings.simplefilter("ignore")  # Pillow warns of odd EXIF; what matters is its orientation
        return dict(zip([item.path for item in items], pool.map(look, items)))


def wrong_sizes(sizes: Mapping[str, tuple[int, int]], wanted: tuple[int, int] | None) -> Iterator[Finding]:
    """Findings for the pictures that are not of the wanted size or, where any will do, differ from most.

    `sizes` maps paths to (width, height).
    """
    if not sizes:
        return
    counts = Counter(sizes.values())
    usual = max(counts, key=lambda size: (counts[size], size))  # the larger one where equally many
    for path, size in sizes.items():
        if wanted is not None and size != wanted:
            message = f"is {size[0]}x{size[1]}; the contest asks for {wanted[0]}x{wanted[1]}"
            yield finding("S204", path, message, "make it the size that the contest asks for")
        elif wanted is None and size != usual:
            yield finding("S204", path, f"is {size[0]}x{size[1]}; most are {usual[0]}x{usual[1]}")


def equal_pixels(digests: Mapping[str, str]) -> Iterator[Finding]:
    """Findings for the pictures that equal an earlier one, however they are compressed; `digests` maps their paths."""
    first: dict[str, str] = {}
    for path in sorted(digests):
        earlier = first.setdefault(digests[path], path)
        if earlier != path:
            yield finding("S211", path, f"has the same pixels as {earlier}")


def _too_large(path: str, message: str, limits: Limits) -> Finding:
    hint = f"the contest takes {limits.side} pixels a side and {limits.file_bytes} bytes a file"
    return finding("S207", path, message, hint)


def _chunk_findings(path: str, chunks: list[Chunk]) -> Iterator[Finding]:
    if any(chunk.kind == b"acTL" for chunk in chunks):
        yield finding("S208", path, "has more than one frame")
    space = colour_space(chunks)
    if space is not None:
        yield finding("S209", path, f"has {space}")


def _decode(data: bytes) -> tuple[Image.Image, int]:
    from PIL import Image

    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        image.load()
        orientation = image.getexif().get(_ORIENTATION, 1)
        return image if image.mode == "RGB" else image.convert("RGB"), orientation


def _extrema(image: Image.Image) -> tuple[tuple[int, int], ...]:
    return image.getextrema()  # type: ignore[return-value]  # of an RGB picture: (least, most) of each channel


def _digest(image: Image.Image) -> str:
    digest = hashlib.blake2b(repr(image.size).encode(), digest_size=16)
    for top in range(0, image.height, _BAND):
        digest.update(image.crop((0, top, image.width, min(top + _BAND, image.height))).tobytes())
    return digest.hexdigest()


def _looks_like(data: bytes) -> str:
    if not data:
        return "empty"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "a WebP"
    return next((what for start, what in _OTHERS.items() if data.startswith(start)), "no picture format known here")
