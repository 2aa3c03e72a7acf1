"""Archives that are wrong in one thing, written record by record, since no honest library writes them."""

import io
import stat
import struct
import tarfile
import zipfile
import zlib
from dataclasses import dataclass, field

from tiny_entry import good_files, png

SUN = "01/Sun.png"
LOCAL = struct.Struct("<4sHHHHHIIIHH")
CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
END = struct.Struct("<4sHHHHIIH")
FULL = 0xFFFFFFFF


def deflate(data, level=9):
    packer = zlib.compressobj(level, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


@dataclass
class Entry:
    """One entry. `local` and `central` replace fields in one of its two headers only."""

    name: bytes
    data: bytes = b""
    flags: int = 0
    method: int = 0
    mode: int = 0o100644
    local: dict = field(default_factory=dict)
    central: dict = field(default_factory=dict)
    after: bytes = b""  # between this entry and the next
    packed: bytes = None  # the bytes in the archive, where they are not what `method` makes of `data`

    def __post_init__(self):
        if self.packed is None:
            self.packed = deflate(self.data) if self.method == 8 else self.data

    def fields(self, changes, offset=0):
        values = {"name": self.name, "flags": self.flags, "method": self.method, "crc": zlib.crc32(self.data)}
        values |= {"packed": len(self.packed), "size": len(self.data), "extra": b"", "disk": 0, "offset": offset}
        values["version"] = 20
        return {**values, **changes}

    def record(self):
        one = self.fields(self.local)
        head = (one["version"], one["flags"], one["method"], 0, 33, one["crc"], one["packed"], one["size"])
        head = LOCAL.pack(b"PK\3\4", *head, len(one["name"]), len(one["extra"]))
        return head + one["name"] + one["extra"] + self.packed + self.after

    def listed(self, offset):
        one = self.fields(self.central, offset)
        head = (20 | 3 << 8, one["version"], one["flags"], one["method"], 0, 33, one["crc"], one["packed"], one["size"])
        sizes = (len(one["name"]), len(one["extra"]), 0)
        rest = (one["disk"], 0, self.mode << 16, one["offset"])
        return CENTRAL.pack(b"PK\1\2", *head, *sizes, *rest) + one["name"] + one["extra"]


def entries(**changes):
    """The good entry, with fields of its last picture changed."""
    files = good_files()
    made = [Entry(name.encode(), data) for name, data in files.items() if name != SUN]
    return [*made, Entry(**{"name": SUN.encode(), "data": files[SUN], **changes})]


def archive(made=None, before=b"", between=b"", gap=b"", comment=b"", after=b"", zip64=None, moved=False, **end):
    """The archive of some entries. `end` replaces fields of the end record, `zip64` of a zip64 end record.

    `between` lies before the directory, `gap` after it; `moved` counts places from the start of the file.
    """
    made = entries() if made is None else made
    body, places = b"", []
    for entry in made:
        places.append(len(body) + (len(before) if moved else 0))
        body += entry.record()
    body += between
    directory = b"".join(entry.listed(place) for entry, place in zip(made, places))
    start = len(body) + (len(before) if moved else 0)
    fields = {"disk": 0, "first": 0, "here": len(made), "count": len(made), "size": len(directory), "offset": start}
    tail = b""
    if zip64 is not None:
        tail = end64(start + len(directory) + len(gap), {**fields, **zip64})
        end = {"here": 0xFFFF, "count": 0xFFFF, "size": FULL, "offset": FULL, **end}
    last = END.pack(b"PK\5\6", *{**fields, **end}.values(), len(comment))
    return before + body + directory + gap + tail + last + comment + after


def end64(place, fields):
    fields = {"length": 44, "disks": 1, "place": place, "record": True, **fields}
    numbers = [fields[key] for key in ("disk", "first", "here", "count", "size", "offset")]
    record = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", fields["length"], 45, 45, *numbers)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, fields["place"], fields["disks"])
    return (record if fields["record"] else b"") + locator


def extra(kind, content, length=None):
    return struct.pack("<HH", kind, len(content) if length is None else length) + content


def one(**changes):
    return lambda: archive(entries(**changes))


def both(method=0, **fields):
    """The last picture with fields of both its headers changed."""
    return one(method=method, local=fields, central=fields)


def named(name, flags=0):
    """The good entry and one more with this name."""
    return lambda: archive([*entries(), Entry(name, b"x", flags)])


def more(*added):
    return lambda: archive([*entries(), *added])


def whole(**changes):
    return lambda: archive(**changes)


def by_zipfile(method):
    def make():
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", method) as made:
            for name, data in good_files().items():
                made.writestr(name, data)
        return stream.getvalue()

    return make


def cut(data, count):
    return lambda: data()[:-count]


def descriptor(data, wide=False, signature=b"PK\7\x08", packed=None):
    sizes = (len(data) if packed is None else packed, len(data))
    return signature + struct.pack("<IQQ" if wide else "<III", zlib.crc32(data), *sizes)


def streamed(**changes):
    """The last picture written as to a pipe: its local header knows no sizes."""
    data = good_files()[SUN]
    changes = {"after": descriptor(data), "local": {"crc": 0, "packed": 0, "size": 0}, **changes}
    return one(flags=8, **changes)


def same_place():
    """Two names for one entry's bytes."""
    made = entries()
    made[1].central["offset"] = 0
    made[1].packed = made[1].data
    return archive(made)


def quine_like():
    """Each entry's bytes are the next entries' headers and bytes, down to one kernel (the overlapping bomb)."""
    kernel = Entry(b"00/c.png", b"k" * 100)
    inner = Entry(b"00/b.png", kernel.record())
    outer = Entry(b"00/a.png", inner.record())
    body = outer.record()
    places = [0, body.index(inner.record()), body.index(kernel.record())]
    directory = b"".join(entry.listed(place) for entry, place in zip((outer, inner, kernel), places))
    return body + directory + END.pack(b"PK\5\6", 0, 0, 3, 3, len(directory), len(body), 0)


def tar():
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as made:
        made.addfile(tarfile.TarInfo("a"), io.BytesIO())
    return stream.getvalue()


def crowd(many, **end):
    """Many empty entries, which share one local header."""
    one = Entry(b"00/a.png")
    directory = one.listed(0) * many
    fields = {"disk": 0, "first": 0, "here": many, "count": many, "size": len(directory), "offset": len(one.record())}
    zip64 = end.pop("zip64", None)
    tail = b"" if zip64 is None else end64(len(one.record()) + len(directory), fields)
    end = {**fields, **({"here": 0xFFFF, "count": 0xFFFF} if zip64 is not None else {}), **end}
    return one.record() + directory + tail + END.pack(b"PK\5\6", *end.values(), 0)


def write_holes(path, names, size):
    """An archive of stored entries with `size` zeros each, which are holes in the file and take no disk."""
    says = {"size": size, "packed": size, "crc": zlib.crc32(bytes(size)) if size < 1 << 30 else 0}
    made = [Entry(name.encode(), local=says, central=says) for name in names]
    directory = []
    with open(path, "wb") as stream:
        for entry in made:
            directory.append(entry.listed(stream.tell()))
            stream.write(entry.record())
            stream.seek(size, 1)
        start = stream.tell()
        length = stream.write(b"".join(directory))
        stream.write(END.pack(b"PK\5\6", 0, 0, len(made), len(made), length, start, 0))


def write_bomb(path, says, holds):
    """The good entry with pictures that say they have `says` bytes but unpack to `holds` zeros, in whole MiB."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)  # what follows needs nothing before
    size = {"size": says}
    made = [
        Entry(name.encode(), method=8, packed=block * (holds >> 20), local=size, central=size) for name in good_files()
    ]
    path.write_bytes(archive(made))


SUN_DATA = good_files()[SUN]
FAKE_END = END.pack(b"PK\5\6", 0, 0, 0, 0, 0, 0, 0)
ZEROS = bytes(3 << 20)
CASES = {
    # names
    "absolute": (named(b"/01/Sun.png"), ["S402"]),
    "absolute, network": (named(b"//server/share.png"), ["S402"]),
    "root": (more(Entry(b"/", mode=0o40755)), ["S402"]),
    "parent": (named(b"../Sun.png"), ["S402"]),
    "parent inside": (named(b"00/../../Sun.png"), ["S402"]),
    "parent alone": (named(b".."), ["S402"]),
    "parent at the end": (named(b"00/.."), ["S402"]),
    "parent folder": (more(Entry(b"../", mode=0o40755)), ["S402"]),
    "drive": (named(b"C:/Sun.png"), ["S402"]),
    "drive without a slash": (named(b"C:Sun.png"), ["S402"]),
    "backslash": (named(b"01\\Sun.png"), ["S403"]),
    "backslash at the start": (named(b"\\01\\Sun.png"), ["S402"]),
    "backslash, parent": (named(b"..\\..\\Sun.png"), ["S402"]),
    "NUL": (named(b"01/Sun.png\0.txt"), ["S403"]),
    "line break": (named(b"01/Sun\n.png"), ["S403"]),
    "terminal escape": (named(b"01/\x1b[2J.png"), ["S403"]),
    "C1 control": (named("01/\x9b.png".encode(), 0x800), ["S403"]),
    "line separator": (named("01/a\u2028b.png".encode(), 0x800), ["S403"]),
    "not UTF-8": (named(b"01/caf\xe9.png", 0x800), ["S403"]),
    "surrogate": (named(b"01/\xed\xa0\x80.png", 0x800), ["S403"]),
    "code page": (named(b"01/caf\x82.png"), ["S403"]),
    "UTF-8 not marked": (named("01/café.png".encode()), ["S103", "S403"]),
    "long name": (named(b"/".join([b"a" * 200] * 6)), ["S403"]),
    "long part": (named(b"01/" + b"a" * 256), ["S403"]),
    "longest name": (named(b"a" * 0xFFFF), ["S403"]),
    "no name": (named(b""), ["S403"]),
    "dot": (named(b"./01/Moon.png"), ["S403"]),
    "empty part": (named(b"01//Moon.png"), ["S403"]),
    "twice": (more(Entry(SUN.encode(), SUN_DATA)), ["S109"]),
    "twice, other bytes": (more(Entry(SUN.encode(), png(seed=9))), ["S109"]),
    "file and folder": (more(Entry(SUN.encode() + b"/", mode=0o40755)), ["S109"]),
    # kinds
    "link": (one(data=b"/etc/passwd", mode=stat.S_IFLNK | 0o777), ["S404"]),
    "character device": (one(mode=stat.S_IFCHR | 0o644), ["S404"]),
    "block device": (one(mode=stat.S_IFBLK | 0o644), ["S404"]),
    "pipe": (one(mode=stat.S_IFIFO | 0o644), ["S404"]),
    "socket": (one(mode=stat.S_IFSOCK | 0o644), ["S404"]),
    "unknown type": (one(mode=0o030644), ["S404"]),
    "folder by its mode": (one(mode=stat.S_IFDIR | 0o755), ["S404"]),
    "file by its mode": (more(Entry(b"01/", mode=stat.S_IFREG | 0o644)), ["S404"]),
    "folder with bytes": (more(Entry(b"01/", b"x", mode=0o40755)), ["S408"]),
    # encryption and methods
    "password": (one(flags=1), ["S405"]),
    "strong encryption": (one(flags=0x41), ["S405"]),
    "masked headers": (one(flags=0x2000), ["S405"]),
    "AES": (one(method=99, packed=SUN_DATA), ["S405"]),
    "bzip2": (by_zipfile(zipfile.ZIP_BZIP2), ["S406"]),
    "lzma": (by_zipfile(zipfile.ZIP_LZMA), ["S406"]),
    "deflate64": (one(method=9), ["S406"]),
    "zstandard": (one(method=93), ["S406"]),
    "unknown method": (one(method=0x1234), ["S406"]),
    "patch": (one(flags=0x20), ["S406"]),
    "later version": (both(version=84), ["S406"]),
    "later version in one header": (one(local={"version": 63}), ["S408"]),
    # overlap
    "two names, one place": (same_place, ["S407", "S408", "S413"]),
    "entries in entries": (quine_like, ["S101", "S102", "S103", "S407"]),
    "into the directory": (both(method=8, packed=len(deflate(SUN_DATA)) + 9), ["S407"]),
    "over the end of the file": (both(method=8, packed=1 << 30), ["S407"]),
    # contradictions
    "local name": (one(local={"name": b"01/Xxx.png"}), ["S408"]),
    "local name, longer": (one(local={"name": b"../../../Sun.png"}), ["S408"]),
    "local method": (one(local={"method": 8}), ["S408"]),
    "local size": (one(local={"size": 1}), ["S408"]),
    "local packed size": (one(local={"packed": 1}), ["S408"]),
    "local checksum": (one(local={"crc": 1}), ["S408"]),
    "local encryption": (one(local={"flags": 1}), ["S408"]),
    "local encoding": (one(local={"flags": 0x800}), ["S408"]),
    "no local header": (one(central={"offset": 5}), ["S408"]),
    "local header outside": (one(central={"offset": 1 << 31}), ["S408"]),
    "local header far outside": (
        one(central={"offset": FULL, "extra": extra(1, b"\xff" * 8)}),
        ["S408"],
    ),
    "second name": (
        one(central={"extra": extra(0x7075, b"\1" + bytes(4) + b"../../x.png")}),
        ["S408"],
    ),
    "second local name": (one(local={"extra": extra(0x7075, b"\1" + bytes(4) + b"x")}), ["S408"]),
    "descriptor": (streamed(after=descriptor(b"other")), ["S408", "S413"]),
    "no descriptor": (streamed(after=b""), ["S408"]),
    "stored with two sizes": (one(central={"size": 9}, local={"size": 9}), ["S408"]),
    # limits
    "says 65 MiB": (one(method=8, **{side: {"size": 65 << 20} for side in ("local", "central")}), ["S207", "S410"]),
    "says 100 TB": (
        one(
            method=8,
            central={"size": FULL, "extra": extra(1, (10**14).to_bytes(8, "little"))},
            local={"size": FULL, "packed": len(deflate(SUN_DATA)), "extra": b""},
        ),
        ["S207", "S408", "S409", "S410"],
    ),
    "packed 1000 times": (one(data=ZEROS, method=8), ["S410"]),
    "100,000 entries": (lambda: crowd(100_000, zip64={}), ["S409"]),
    "100,000 entries, says 19,000": (lambda: crowd(100_000, here=19_000, count=19_000), ["S401"]),
    "says 65,534 entries": (whole(here=65_534, count=65_534), ["S409"]),
    "says 2**60 entries": (whole(zip64={"here": 1 << 60, "count": 1 << 60}), ["S409"]),
    # archives in the archive
    "zip by name": (more(Entry(b"01/more.ZIP", b"x")), ["S107", "S411"]),
    "tar by name": (named(b"more.tar.gz"), ["S107", "S411"]),
    "zip by content": (one(data=archive()), ["S411"]),
    "zip by content, deflated": (one(data=archive(), method=8), ["S411"]),
    "empty zip by content": (one(data=FAKE_END + b" "), ["S411"]),
    "tar by content": (one(data=tar()), ["S411"]),
    "gzip by content": (one(data=b"\x1f\x8b\x08" + bytes(20)), ["S411"]),
    "7z by content": (one(data=b"7z\xbc\xaf\x27\x1c" + bytes(20)), ["S411"]),
    # bytes
    "wrong checksum": (one(local={"crc": 5}, central={"crc": 5}), ["S412"]),
    "deflated, cut": (one(method=8, packed=deflate(SUN_DATA)[:-1]), ["S412"]),
    "deflated, damaged": (one(method=8, packed=b"\xff" * 20), ["S412"]),
    "deflated, nothing": (one(method=8, packed=b""), ["S412"]),
    "deflated, longer than said": (one(method=8, packed=deflate(SUN_DATA + ZEROS)), ["S412"]),
    "deflated, shorter than said": (one(method=8, packed=deflate(SUN_DATA[:-1])), ["S412"]),
    "deflated, then more": (one(method=8, packed=deflate(SUN_DATA) + b"more"), ["S412"]),
    # structure
    "bytes before": (whole(before=b"#!/bin/sh\n"), ["S413"]),
    "bytes before, counted": (whole(before=b"MZ" + bytes(90), moved=True), ["S413"]),
    "split mark before": (whole(before=b"PK\7\x08", moved=True), ["S413"]),
    "bytes after": (whole(after=b"\n"), ["S413"]),
    "padding of a pipe": (whole(after=bytes(6339)), ["S413"]),
    "60,000 bytes after": (whole(after=bytes(60_000)), ["S413"]),
    "end record in the comment": (whole(comment=FAKE_END), ["S413"]),
    "end record in a longer comment": (whole(comment=b"see " + FAKE_END + b" there"), ["S413"]),
    "archive in the comment": (whole(comment=archive()), ["S413"]),
    "bytes between entries": (one(after=b"hidden"), ["S413"]),
    "bytes before the directory": (whole(between=b"hidden"), ["S413"]),
    "bytes after the directory": (whole(gap=b"hidden"), ["S413"]),
    "two archives": (lambda: archive() + archive(), ["S413"]),
    "comment cut short": (cut(whole(comment=b"a comment"), 3), ["S401"]),
    "end record cut": (cut(whole(), 1), ["S401"]),
    "without end record": (cut(whole(), 22), ["S401"]),
    "local headers only": (lambda: b"".join(entry.record() for entry in entries()), ["S401"]),
    "a signature only": (lambda: b"PK\3\4 not really", ["S401"]),
    "end record of ones": (lambda: b"PK\5\6" + b"\xff" * 18, ["S401"]),
    "directory elsewhere": (whole(offset=7), ["S408", "S413"]),
    "directory shorter": (whole(size=50), ["S401"]),
    "directory longer": (whole(size=5000), ["S401"]),
    "too few entries": (whole(here=2, count=2), ["S401"]),
    "too many entries": (whole(here=4, count=4), ["S401"]),
    "no entries said": (whole(here=0, count=0), ["S401"]),
    "extra field too long": (one(central={"extra": extra(0x5455, b"x", 99)}), ["S401"]),
    "extra field twice": (one(central={"extra": extra(1, b"") * 2}), ["S401"]),
    "zip64 field too short": (one(central={"offset": FULL, "extra": extra(1, b"abc")}), ["S401"]),
    "zip64 record missing": (whole(zip64={"record": False}), ["S401"]),
    "zip64 record elsewhere": (whole(zip64={"place": 1 << 63, "length": 45}), ["S401"]),
    "zip64 record of another length": (whole(zip64={"length": 1 << 62}), ["S401"]),
    "zip64 contradicts": (whole(zip64={}, here=2, count=2), ["S401"]),
    "zip64 directory elsewhere": (whole(zip64={"offset": 1 << 62}), ["S401"]),
    "one part of two": (whole(disk=1, first=1), ["S414"]),
    "entries on other parts": (whole(here=1), ["S414"]),
    "zip64 parts": (whole(zip64={"disks": 2}), ["S414"]),
    "an entry on part 3": (one(central={"disk": 2}), ["S414"]),
    "no entries": (lambda: archive([]), ["S101"]),
}  # fmt: skip

GOOD = {
    "stored": archive,
    "deflated": one(method=8),
    "by zipfile": by_zipfile(zipfile.ZIP_DEFLATED),
    "comment": whole(comment=b"made by hand"),
    "folders": lambda: archive([Entry(b"00/", mode=0o40755), Entry(b"01/", mode=0o40755), *entries()]),
    "no modes": lambda: archive([Entry(name.encode(), data, mode=0) for name, data in good_files().items()]),
    "times": one(local={"extra": extra(0x5455, b"\1" + bytes(4))}, central={"extra": extra(0x5455, b"\1" + bytes(4))}),
    "padding": one(local={"extra": bytes(3)}),
    "streamed": streamed(),
    "streamed, one size known": streamed(local={"crc": 0, "packed": 0}),
    "streamed, deflated": streamed(method=8, after=descriptor(SUN_DATA, packed=len(deflate(SUN_DATA)))),
    "streamed, no signature": streamed(after=descriptor(SUN_DATA, signature=b"")),
    "streamed, zip64": streamed(after=descriptor(SUN_DATA, wide=True)),
    "zip64": whole(zip64={}),
    "zip64 beside small numbers": whole(zip64={}, here=3, count=3),
    "zip64 entry": one(
        local={"size": FULL, "packed": FULL, "extra": extra(1, len(SUN_DATA).to_bytes(8, "little") * 2)},
        central={"size": FULL, "packed": FULL, "extra": extra(1, len(SUN_DATA).to_bytes(8, "little") * 2)},
    ),
}
