"""The records of a zip archive, read from bytes that may be anything.

PKWARE APPNOTE 6.3.10, section 4.3: local header (4.3.7), data descriptor (4.3.9), central directory (4.3.12), end
records (4.3.14 to 4.3.16), extra fields (4.5). Sizes and places come out with zip64 (4.5.3) already seen through.
Nothing is judged here but whether a record can be read at all.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Optional

ReadAt = Callable[[int, int], bytes]  # (place, count) -> the bytes there, fewer at the end of the file

LOCAL, CENTRAL, END = b"PK\3\4", b"PK\1\2", b"PK\5\6"
STREAMED = 0x8  # the flag: sizes and checksum follow the data, in a descriptor
_LOCATOR, _END64, _DESCRIPTOR = b"PK\6\7", b"PK\6\6", b"PK\7\x08"
_LOCAL_FORM = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL_FORM = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END_FORM = struct.Struct("<4sHHHHIIH")
_LOCATOR_FORM = struct.Struct("<4sIQI")
_END64_FORM = struct.Struct("<4sQHHIIQQQQ")
_DESCRIPTOR_FORMS = ("<QQ", "<II")  # the longer first: zeros may follow the shorter one only in the longer one
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
_MAX_COMMENT = 0xFFFF
_ZIP64, _UNICODE_NAME = 0x1, 0x7075


class BrokenZip(Exception):
    """A record is not there or contradicts itself; the message says which."""


@dataclass(frozen=True)
class End:
    """What the end records say, and where they lie: from `start` up to `stop`, the end of the comment.

    `count`, `size` and `offset` are the central directory's. `split`: this is one of several parts.
    `hidden`: the comment holds what other readers may take for the end record.
    """

    start: int
    stop: int
    count: int
    size: int
    offset: int
    split: bool
    hidden: bool


@dataclass(frozen=True)
class Header:
    """A local header or one of the central directory, which alone knows `mode`, `disk` and `offset`.

    `version` is the one that a reader must know, times ten; `packed` and `size` are bytes in the archive and unpacked;
    `alias` is a second, Unicode name; the header ends at `stop`.
    """

    version: int
    name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    alias: Optional[bytes]
    stop: int
    mode: int = 0
    disk: int = 0
    offset: int = 0


def looks_like_zip(read_at: ReadAt, size: int) -> bool:
    """Is this meant as a zip, however broken? It starts like one, or has an end record where one may be."""
    tail = max(0, size - _END_FORM.size - _MAX_COMMENT)
    return read_at(0, 4) in (LOCAL, END, _DESCRIPTOR) or END in read_at(tail, size - tail)


def read_end(read_at: ReadAt, size: int) -> End:
    """Find the end records of an archive of `size` bytes. Raises BrokenZip."""
    base = max(0, size - _END_FORM.size - _MAX_COMMENT)
    tail = read_at(base, size - base)
    places = [at for at in _places(tail, END) if at + _END_FORM.size <= len(tail)]
    if not places:
        raise BrokenZip("has no end record; it was cut short")
    whole = [at for at in places if at + _END_FORM.size + _comment(tail, at) == len(tail)]
    at = whole[-1] if whole else places[-1]
    stop = base + at + _END_FORM.size + _comment(tail, at)
    if stop > size:
        raise BrokenZip("ends within its comment")
    _, disk, first_disk, here, count, length, offset, _ = _END_FORM.unpack_from(tail, at)
    start = base + at
    split = bool(disk or first_disk or here != count)
    locator = read_at(start - _LOCATOR_FORM.size, _LOCATOR_FORM.size) if start >= _LOCATOR_FORM.size else b""
    if locator.startswith(_LOCATOR):
        plain = ((count, _FULL16), (length, _FULL32), (offset, _FULL32))
        start, split, *wide = _read_end64(read_at, start - _LOCATOR_FORM.size, locator)
        if any(value not in (full, big) for (value, full), big in zip(plain, wide)):
            raise BrokenZip("has two end records that contradict each other")
        count, length, offset = wide
    return End(start, stop, count, length, offset, split, len(whole) > 1 or places[-1] > at)


def read_central(read_at: ReadAt, at: int, stop: int) -> Header:
    """The header at `at` of a central directory that ends at `stop`. Raises BrokenZip."""
    raw = read_at(at, _CENTRAL_FORM.size)
    if len(raw) < _CENTRAL_FORM.size or not raw.startswith(CENTRAL):
        raise BrokenZip(f"has no directory entry at byte {at}")
    _, _, version, flags, method, _, _, crc, packed, size, names, extras, comment, disk, _, external, offset = (
        _CENTRAL_FORM.unpack(raw)
    )
    end = at + _CENTRAL_FORM.size + names + extras + comment
    if end > stop:
        raise BrokenZip(f"has a directory entry at byte {at} that runs over the directory's end")
    rest = read_at(at + _CENTRAL_FORM.size, names + extras)
    name, extra = rest[:names], _extra(rest[names:])
    size, packed, offset, disk = _widen(
        extra, (size, _FULL32, 8), (packed, _FULL32, 8), (offset, _FULL32, 8), (disk, _FULL16, 4)
    )
    places = (end, external >> 16, disk, offset)
    return Header(version & 0xFF, name, flags, method, crc, packed, size, _alias(extra), *places)


def read_local(read_at: ReadAt, at: int) -> Header:
    """The local header at `at`; its data begin at `stop`. Raises BrokenZip."""
    raw = read_at(at, _LOCAL_FORM.size)
    if len(raw) < _LOCAL_FORM.size or not raw.startswith(LOCAL):
        raise BrokenZip(f"has no local header at byte {at}")
    _, version, flags, method, _, _, crc, packed, size, names, extras = _LOCAL_FORM.unpack(raw)
    rest = read_at(at + _LOCAL_FORM.size, names + extras)
    if len(rest) < names + extras:
        raise BrokenZip("has a local header that runs over the end")
    extra = _extra(rest[names:])
    size, packed = _widen(extra, (size, _FULL32, 8), (packed, _FULL32, 8))
    end = at + _LOCAL_FORM.size + names + extras
    return Header(version & 0xFF, rest[:names], flags, method, crc, packed, size, _alias(extra), end)


def descriptor_length(read_at: ReadAt, at: int, entry: Header) -> int | None:
    """How long the data descriptor at `at` is, or None where none says what the directory says of `entry`."""
    raw = read_at(at, 24)
    for form in _DESCRIPTOR_FORMS:
        expected = struct.pack("<I", entry.crc)
        try:
            expected += struct.pack(form, entry.packed, entry.size)
        except struct.error:  # more than the short form holds
            continue
        for whole in (_DESCRIPTOR + expected, expected):
            if raw.startswith(whole):
                return len(whole)
    return None


def _read_end64(read_at: ReadAt, at: int, locator: bytes) -> tuple[int, bool, int, int, int]:
    """Where the zip64 end record before the locator at `at` starts, whether split, and count, size, offset."""
    _, end_disk, place, disks = _LOCATOR_FORM.unpack(locator)
    if read_at(place, 4) != _END64:
        place = at - _END64_FORM.size  # data before the archive move everything
    raw = read_at(place, _END64_FORM.size) if place >= 0 else b""
    if len(raw) < _END64_FORM.size or not raw.startswith(_END64):
        raise BrokenZip("has no zip64 end record where it says")
    _, length, _, _, disk, first_disk, here, count, size, offset = _END64_FORM.unpack(raw)
    if place + 12 + length != at:
        raise BrokenZip("has a zip64 end record of the wrong length")
    return place, bool(end_disk or disks > 1 or disk or first_disk or here != count), count, size, offset


def _extra(raw: bytes) -> dict[int, bytes]:
    """The extra fields by their id. Up to three bytes after them are padding."""
    fields: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(raw):
        kind, length = struct.unpack_from("<HH", raw, at)
        at += 4 + length
        if at > len(raw):
            raise BrokenZip("has an extra field that runs over its end")
        if kind in fields and kind in (_ZIP64, _UNICODE_NAME):
            raise BrokenZip("has an extra field twice")
        fields[kind] = raw[at - length : at]
    return fields


def _widen(extra: dict[int, bytes], *values: tuple[int, int, int]) -> list[int]:
    """Each (value, placeholder, width), taken from the zip64 field in this order where it is the placeholder."""
    wide = extra.get(_ZIP64, b"")
    found = []
    for value, placeholder, width in values:
        if value == placeholder and _ZIP64 in extra:
            if len(wide) < width:
                raise BrokenZip("has a zip64 field that is too short")
            value, wide = int.from_bytes(wide[:width], "little"), wide[width:]
        found.append(value)
    return found


def _alias(extra: dict[int, bytes]) -> bytes | None:
    return extra[_UNICODE_NAME][5:] if _UNICODE_NAME in extra else None  # after its version and a checksum


def _comment(tail: bytes, at: int) -> int:
    return int(_END_FORM.unpack_from(tail, at)[-1])


def _places(data: bytes, what: bytes) -> list[int]:
    places = []
    at = data.find(what)
    while at >= 0:
        places.append(at)
        at = data.find(what, at + 1)
    return places
