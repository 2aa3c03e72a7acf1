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

from contest.definition import Limits
from contest.entry import cures
from contest.entry.listing import BadItem, Item
from contest.entry.notes import is_post_processed
from contest.entry.pixels import read_exact, to_eight_bits
from contest.entry.png import (
    COLOURS,
    GREY_ALPHA,
    RGB,
    RGBA,
    SIGNATURE,
    BrokenPng,
    Chunk,
    Header,
    colour_space,
    has_large_notes,
    read_chunks,
    read_header,
    read_texts,
)
from contest.entry.signatures import identify
from contest.errors import first_line
from contest.findings import Finding, finding
from submission.rules.alike import difference_hash

if TYPE_CHECKING:
    from PIL import Image

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
        what, cure = identify(data)
        return Picture(None, (finding("S201", path, f"is {what}", cure),))
    try:
        chunks, end = read_chunks(data)
        header = read_header(chunks)
    except BrokenPng as error:
        return Picture(None, (finding("S203", path, str(error)),))
    size = (header.width, header.height)
    if max(size) > limits.side:
        message = f"is {header.width}x{header.height}; the contest takes {limits.side} a side"
        return Picture(None, (finding("S207", path, message, cures.to_side(limits.side)),))
    findings = list(_chunk_findings(path, chunks))
    if end < len(data):
        findings.append(finding("S206", path, f"has {len(data) - end} bytes after its end"))
    keyed = any(chunk.kind == b"tRNS" for chunk in chunks)
    plain = header.colour == RGB and header.depth == 8 and not keyed
    try:
        seen = _see_plain(data[:end]) if plain else _see(data[:end], header)
    except Exception as error:  # Pillow's decoders raise whatever damaged bytes provoke
        if has_large_notes(chunks):
            findings = [finding("S214", path, "holds a text or profile of more than 1 MiB")]  # its cure ends the others
        else:
            findings.append(finding("S203", path, f"cannot be decoded ({first_line(error)})"))
        seen = None
    if not plain:
        kind = COLOURS.get(header.colour, f"colour type {header.colour}")
        message = f"is {header.depth}-bit {kind}{' with a transparent colour' if keyed else ''}"
        hint = None if seen is None else cures.to_rgb(header, seen.transparent, seen.orientation != 1)
        findings.append(finding("S202", path, message, hint))
    if seen is None:
        return Picture(size, tuple(findings), texts=dict(read_texts(chunks)))
    if seen.orientation != 1:
        findings.append(finding("S205", path, f"has EXIF orientation {seen.orientation}, which some readers apply"))
    digests: tuple[str | None, int | None] = (seen.digest, difference_hash(seen.image))
    if all(high - low <= _FLAT for low, high in _extrema(seen.image)):
        findings.append(finding("S210", path, "has one colour only"))
        digests = (None, None)
    return Picture(size, tuple(findings), *digests, dict(read_texts(chunks)))


def inspect_items(items: Sequence[Item], limits: Limits, decode: bool = True) -> dict[str, Picture]:
    """Every picture by its path. Without `decode` only sizes of files are looked at."""
    import PIL.PngImagePlugin  # noqa: F401  # here, because threads that load it together hinder each other

    def look(item: Item) -> Picture:
        if item.size > limits.file_bytes:
            message = f"has {item.size} bytes; the contest takes {limits.file_bytes}"
            return Picture(None, (finding("S207", item.path, message),))
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
            yield finding("S204", path, message, cures.to_size(size, wanted))
        elif wanted is None and size != usual:
            message = f"is {size[0]}x{size[1]}; most are {usual[0]}x{usual[1]}"
            yield finding("S204", path, message, cures.to_size(size, usual))


def equal_pixels(digests: Mapping[str, str]) -> Iterator[Finding]:
    """Findings for the pictures that equal an earlier one, however they are compressed; `digests` maps their paths."""
    first: dict[str, str] = {}
    for path in sorted(digests):
        earlier = first.setdefault(digests[path], path)
        if earlier != path:
            yield finding("S211", path, f"has the same pixels as {earlier}")


def post_processed(pictures: Mapping[str, Picture]) -> Iterator[Finding]:
    """One finding for all the pictures that say of themselves that their finished pixels were changed."""
    changed = sum(is_post_processed(picture.texts) for picture in pictures.values())
    if changed > 0:
        yield finding("S216", ".", f"says of {changed} of {len(pictures)} pictures that they were post-processed")


def _chunk_findings(path: str, chunks: list[Chunk]) -> Iterator[Finding]:
    if any(chunk.kind == b"acTL" for chunk in chunks):
        yield finding("S208", path, "has more than one frame")
    space = colour_space(chunks)
    if space is not None:
        yield finding("S209", path, f"has {space}", cures.to_srgb(chunks))


@dataclass(frozen=True)
class _Seen:
    """A decoded picture: eight-bit RGB, a digest of all its bits, its EXIF orientation.

    `transparent`: it shows what lies behind it in degrees or by an alpha channel, and `image` has white there.
    """

    image: Image.Image
    digest: str
    orientation: int
    transparent: bool = False


def _see_plain(data: bytes) -> _Seen:
    from PIL import Image

    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        image.load()
        return _Seen(image, _digest(image), _orientation(image))


def _see(data: bytes, header: Header) -> _Seen:
    """Any other kind than eight-bit RGB."""
    import numpy as np
    from PIL import Image

    exact = read_exact(data)
    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        orientation = _orientation(image)
    alpha = exact[..., 3]
    most = np.iinfo(exact.dtype).max
    transparent = bool((alpha < most).any()) and (
        header.colour in (GREY_ALPHA, RGBA) or bool(((alpha > 0) & (alpha < most)).any())
    )
    seen = Image.fromarray(to_eight_bits(exact))
    if transparent:
        seen = Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen)
    seen = seen.convert("RGB")
    if exact.dtype == np.uint8 and bool((alpha == most).all()):
        return _Seen(seen, _digest(seen), orientation)  # equals the same pixels without alpha
    digest = hashlib.blake2b(repr((seen.size, str(exact.dtype))).encode() + exact.tobytes(), digest_size=16)
    return _Seen(seen, digest.hexdigest(), orientation, transparent)


def _orientation(image: Image.Image) -> int:
    return int(image.getexif().get(_ORIENTATION, 1))


def _extrema(image: Image.Image) -> tuple[tuple[int, int], ...]:
    return image.getextrema()  # type: ignore[return-value]  # of an RGB picture: (least, most) of each channel


def _digest(image: Image.Image) -> str:
    digest = hashlib.blake2b(repr(image.size).encode(), digest_size=16)
    for top in range(0, image.height, _BAND):
        digest.update(image.crop((0, top, image.width, min(top + _BAND, image.height))).tobytes())
    return digest.hexdigest()
