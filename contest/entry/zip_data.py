"""The bytes of one entry of a zip: never more in memory than it says it has, and proved by their checksum."""

from __future__ import annotations

import io
import zlib

from contest.entry.listing import BadItem
from contest.entry.zip_records import Header, ReadAt

STORED, DEFLATED = 0, 8
_PIECE = 1 << 18
_WEIGHTS = b".bin"  # a LoRA file of torch is a zip by its format
_SIGNATURES = (
    *(b"PK\3\4", b"PK\5\6", b"PK\7\x08", b"Rar!\x1a\7", b"7z\xbc\xaf\x27\x1c"),
    *(b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"),
)


def unpack(read_at: ReadAt, header: Header, place: int, limit: int) -> bytes:
    """The bytes of a stored or deflated entry whose data begin at `place`; BadItem where they cannot be had.

    An entry that says it has more than `limit` bytes is not read, and an archive is not handed out.
    """
    if header.size > limit:
        raise BadItem("S409", f"has {header.size} bytes, more than {limit}")
    if header.method == DEFLATED:
        data = _inflate(read_at, header, place)
    else:
        data = read_at(place, header.size)
    if len(data) != header.size or zlib.crc32(data) != header.crc:
        raise BadItem("S412", "is not what its size and checksum in the archive say")
    is_archive = data.startswith(_SIGNATURES) or data[257:262] == b"ustar"
    if is_archive and not header.name.endswith(_WEIGHTS):
        raise BadItem("S411", "is an archive itself")
    return data


def _inflate(read_at: ReadAt, header: Header, place: int) -> bytes:
    """At most one byte more than the entry says it has; that one shows that it lied."""
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    data = io.BytesIO()  # unlike a list of pieces, it gives its bytes away without a second copy
    room = header.size + 1
    at, stop = place, place + header.packed
    fed = b""
    try:
        while room and not unpacker.eof:
            if not fed:
                fed = read_at(at, min(_PIECE, stop - at))
                at += len(fed)
            unpacked = unpacker.decompress(fed, min(room, _PIECE))
            if not fed and not unpacked:
                break
            room -= data.write(unpacked)
            fed = unpacker.unconsumed_tail
    except zlib.error as error:
        raise BadItem("S412", f"cannot be unpacked ({error})") from error
    if room and (not unpacker.eof or unpacker.unused_data or at < stop):
        raise BadItem("S412", "is cut short, or something follows its packed bytes")
    return data.getvalue()
