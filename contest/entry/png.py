"""The PNG format as far as the checks read it: chunks, header, text and colour space.

Format: https://www.w3.org/TR/png-3/ sections 5 and 11. Pillow alone accepts some files that were cut short, and
damaged chunks that it does not need.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
COLOURS = {GREY: "grey", RGB: "RGB", PALETTE: "palette", GREY_ALPHA: "grey with alpha", RGBA: "RGB with alpha"}
_MOST_INFLATED = 1 << 20  # bytes of a text or profile; Pillow reads no more either
_MOST_TEXT = 64 << 20  # bytes of all texts together; likewise
_SRGB_GAMMA = 45455
_SRGB_PRIMARIES = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
_SRGB_CODE_POINTS = bytes((1, 13, 0, 1))  # cICP: BT.709 primaries, sRGB curve, RGB, full range

_SPACES = {
    b"cICP": "code points of another colour space (cICP)",
    b"gAMA": "a gamma other than sRGB's (gAMA)",
    b"cHRM": "primaries other than sRGB's (cHRM)",
}


class BrokenPng(Exception):
    """The bytes are not a whole PNG; the message says where."""


class ShortPng(BrokenPng):
    """They end before IEND does."""


@dataclass(frozen=True)
class Chunk:
    """One chunk: its type and its content."""

    kind: bytes
    content: memoryview


@dataclass(frozen=True)
class Header:
    """What IHDR says; `depth` is bits a channel, `colour` a key of COLOURS."""

    width: int
    height: int
    depth: int
    colour: int


def walk_chunks(data: bytes) -> Iterator[Chunk]:
    """Every chunk up to IEND, as it comes, with its CRC proved. BrokenPng: damaged; ShortPng: cut short."""
    view = memoryview(data)
    at, kind = len(SIGNATURE), b""
    while kind != b"IEND":
        if at + 12 > len(data):
            raise ShortPng(f"ends too early, at byte {len(data)}")
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise ShortPng(f"ends too early, at byte {len(data)}")
        if zlib.crc32(view[at + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
            raise BrokenPng(f"is damaged between bytes {at} and {end}")
        yield Chunk(kind, view[at + 8 : end - 4])
        at = end


def read_chunks(data: bytes) -> tuple[list[Chunk], int]:
    """All of `walk_chunks`, and where IEND ends."""
    chunks = list(walk_chunks(data))
    return chunks, len(SIGNATURE) + sum(12 + len(chunk.content) for chunk in chunks)


def read_header(chunks: Sequence[Chunk]) -> Header:
    """The header, which must be the first chunk. BrokenPng: it is not, or there are no pixels."""
    first = chunks[0]
    if first.kind != b"IHDR" or len(first.content) != 13:
        raise BrokenPng("does not begin with a PNG header")
    header = Header(*struct.unpack_from(">IIBB", first.content))
    if header.width == 0 or header.height == 0:
        raise BrokenPng("has no pixels")
    return header


def read_texts(chunks: Iterable[Chunk]) -> Iterator[tuple[str, str]]:
    """(keyword, text) of every tEXt, zTXt and iTXt chunk; one that cannot be read is passed over."""
    for chunk in chunks:
        keyword, _, rest = bytes(chunk.content).partition(b"\0") if chunk.kind[1:] in (b"EXt", b"TXt") else (b"",) * 3
        try:
            if chunk.kind == b"tEXt":
                yield keyword.decode("latin-1"), rest.decode("latin-1")
            elif chunk.kind == b"zTXt":
                yield keyword.decode("latin-1"), _inflate(rest[1:]).decode("latin-1")
            elif chunk.kind == b"iTXt":
                text = rest[2:].split(b"\0", 2)[2]  # behind the language and the translated keyword
                yield keyword.decode("latin-1"), (_inflate(text) if rest[0] else text).decode("utf-8")
        except (IndexError, UnicodeDecodeError, zlib.error):
            continue


def colour_space(chunks: Sequence[Chunk]) -> str | None:
    """What makes readers that heed it show other colours than sRGB, or None."""
    problem = colour_problem(chunks)
    if problem == b"iCCP":
        return f"the colour profile {_profile_name(_content(chunks, b'iCCP'))!r} (iCCP)"
    return None if problem is None else _SPACES[problem]


def colour_digest(chunks: Sequence[Chunk]) -> str | None:
    """A digest of what `colour_space` is about, which words do not tell apart; None for sRGB."""
    problem = colour_problem(chunks)
    if problem is None:
        return None
    content = _content(chunks, problem)
    with suppress(zlib.error):  # else the packed bytes tell it apart
        content = _inflate(content.partition(b"\0")[2][1:]) if problem == b"iCCP" else content
    return hashlib.blake2b(content, digest_size=4).hexdigest()


def colour_problem(chunks: Sequence[Chunk]) -> bytes | None:
    """The kind of the chunk that names another colour space than sRGB, or None. Order: section 4.3 of the format."""
    kinds = {chunk.kind for chunk in chunks}
    if b"cICP" in kinds:
        return None if _content(chunks, b"cICP") == _SRGB_CODE_POINTS else b"cICP"
    if b"iCCP" in kinds:
        return None if "srgb" in _profile_name(_content(chunks, b"iCCP")).casefold() else b"iCCP"
    if b"sRGB" in kinds:
        return None
    if b"gAMA" in kinds and _content(chunks, b"gAMA") != struct.pack(">I", _SRGB_GAMMA):
        return b"gAMA"
    if b"cHRM" in kinds and _content(chunks, b"cHRM") != struct.pack(">8I", *_SRGB_PRIMARIES):
        return b"cHRM"
    return None


def file_gamma(chunks: Sequence[Chunk]) -> int:
    """What gAMA says, times 100,000; 0 where it says nothing that can be used."""
    content = _content(chunks, b"gAMA")
    return int.from_bytes(content, "big") if len(content) == 4 else 0


def profile_space(chunks: Sequence[Chunk]) -> bytes:
    """The colour space that an ICC profile is for, as b"RGB "; empty where there is none that can be read."""
    try:
        return _inflate(_content(chunks, b"iCCP").partition(b"\0")[2][1:])[16:20]
    except zlib.error:
        return b""


def has_large_notes(chunks: Sequence[Chunk]) -> bool:
    """Is there a packed text or a profile of more than 1 MiB, or are all texts more than 64? Pillow stops there."""
    together = 0
    for chunk in chunks:
        if chunk.kind not in (b"tEXt", b"zTXt", b"iTXt", b"iCCP"):
            continue
        rest = bytes(chunk.content).partition(b"\0")[2]
        packed = rest[1:]
        if chunk.kind == b"tEXt" or (chunk.kind == b"iTXt" and rest[:1] != b"\1"):
            together += len(rest)
            continue
        if chunk.kind == b"iTXt":
            packed = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
        try:
            size = len(_inflate(packed, _MOST_INFLATED + 1))
        except zlib.error:
            continue
        if size > _MOST_INFLATED:
            return True
        together += size if chunk.kind != b"iCCP" else 0
    return together > _MOST_TEXT


def frames_digest(chunks: Sequence[Chunk]) -> str | None:
    """A digest of the frames that an animated PNG has beside its first, and of their times; None where it has none."""
    if not any(chunk.kind == b"acTL" for chunk in chunks):
        return None
    digest = hashlib.blake2b(digest_size=16)
    for chunk in chunks:
        if chunk.kind in (b"acTL", b"fcTL", b"fdAT"):
            digest.update(len(chunk.content).to_bytes(4, "big") + chunk.content)
    return digest.hexdigest()


def _content(chunks: Sequence[Chunk], kind: bytes) -> bytes:
    """The content of the last chunk of a kind, empty without one."""
    return next((bytes(chunk.content) for chunk in reversed(chunks) if chunk.kind == kind), b"")


def _profile_name(content: bytes) -> str:
    """The description inside an ICC profile (ICC.1:2022 sections 7.3, 9.2.41 and 10.15), else its PNG name."""
    name, _, rest = content.partition(b"\0")
    try:
        profile = _inflate(rest[1:])
        (count,) = struct.unpack_from(">I", profile, 128)
        for index in range(min(count, 100)):
            tag, offset, size = struct.unpack_from(">4sII", profile, 132 + 12 * index)
            if tag == b"desc":
                value = profile[offset : offset + size]
                if value.startswith(b"mluc"):
                    length, start = struct.unpack_from(">II", value, 20)
                    return value[start : start + length].decode("utf-16-be").strip("\0")
                (length,) = struct.unpack_from(">I", value, 8)
                return value[12 : 12 + length].decode("latin-1").strip("\0")
    except (struct.error, zlib.error, UnicodeDecodeError):
        pass  # a damaged profile still has the name beside it
    return name.decode("latin-1")


def _inflate(data: bytes, most: int = _MOST_INFLATED) -> bytes:
    return zlib.decompressobj().decompress(data, most)
