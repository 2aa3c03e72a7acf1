"""A stranger's zip as a listing: everything that can be said before a byte is decoded, and bounded decoding.

Readers disagree about archives that contradict themselves, and hostile ones make use of it. So the records are read
here one by one (PKWARE APPNOTE 6.3.10), and every byte of the file must belong to exactly one entry or record. Allowed
is what ISO/IEC 21320-1 allows (stored or deflated entries, no encryption, one part, zip64).
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import starmap

from contest.definition import Limits
from contest.entry.listing import BadItem, Item, Listing
from contest.entry.zip_data import DEFLATED, STORED, unpack
from contest.entry.zip_names import ZIP_ANEW, Problem, read_name
from contest.entry.zip_records import (
    CENTRAL,
    STREAMED,
    BrokenZip,
    End,
    Header,
    ReadAt,
    descriptor_length,
    read_central,
    read_end,
    read_local,
)
from contest.findings import finding

_PASSWORD, _PATCH, _STRONG, _UTF8, _MASKED = 0x1, 0x20, 0x40, 0x800, 0x2000  # flags
_AES = 99  # a method
_VERSION = 45  # of the format, times ten: the one that brought zip64
_RATIO = 200  # a PNG hardly shrinks; deflate reaches 1032
_SMALL = 1 << 20  # bytes; below it the ratio does no harm
_DIRECTORY = 64 << 20  # bytes; 20,000 entries with names of 100 letters take 5 MiB
_DEPTH = 4  # deeper folders are not listed: one name may have hundreds
_PADDING = 1 << 20  # bytes; tar's blocks are 10 KiB
_UNPIPED = (
    "a program such as bsdtar pads what it writes to a pipe; let it write the file itself, as in bsdtar -a -cf "
    f"entry.zip 00 01, or {ZIP_ANEW}"
)
_ARCHIVES = (b".zip", b".rar", b".7z", b".tar", b".gz", b".tgz", b".bz2", b".xz", b".zst", b".jar")


@dataclass
class _Entry:
    """One entry. Its bytes lie from `data`, its own records and bytes from `start` to `stop`.

    `stop` is None without a local header, `name` without a name to trust.
    """

    header: Header
    start: int
    name: str | None
    problems: list[Problem]
    data: int = 0
    stop: int | None = None


def list_zip(read_at: ReadAt, size: int, label: str, limits: Limits) -> Listing:
    """The listing of a zip of `size` bytes; `label` names it in findings about the whole.

    An entry without a name to trust is a finding only. Reading an item that has a finding raises BadItem.
    """
    findings = []
    if size > limits.archive_bytes:
        findings.append(finding("S409", label, f"has {size} bytes, more than {limits.archive_bytes}"))
    try:
        end = read_end(read_at, size)
        if end.split:
            return Listing((), (*findings, finding("S414", label, "is one part of several")))
        if end.count > limits.files or end.size > _DIRECTORY:
            too_much = f"says it has {end.count} entries in {end.size} bytes, more than {limits.files} or {_DIRECTORY}"
            return Listing((), (*findings, finding("S409", label, too_much)))
        directory, shift, around = _find_directory(read_at, end, size)
        headers = list(_read_directory(read_at, directory, end))
    except BrokenZip as error:
        return Listing((), (*findings, finding("S401", label, str(error))))
    entries = [_open_entry(read_at, header, shift) for header in headers]
    around += [(message, None) for message in _find_overlaps(entries, shift, directory)]
    findings += [finding("S413", label, message, hint) for message, hint in around]
    total = sum(entry.header.size for entry in entries)
    if total > limits.total_bytes:
        findings.append(finding("S409", label, f"says it unpacks to {total} bytes, more than {limits.total_bytes}"))
    for entry in entries:
        where = label if entry.name is None else entry.name
        findings += [finding(code, where, message, hint) for code, message, hint in entry.problems]
    whole = all(entry.name is not None for entry in entries)
    return Listing(_items(read_at, entries, limits), tuple(findings), whole)


def _find_directory(read_at: ReadAt, end: End, size: int) -> tuple[int, int, list[tuple[str, str | None]]]:
    """Where the central directory starts, by how much all places are moved, and what lies around the archive.

    The last are messages, each with a hint where there is a better one than usual.
    """
    start = end.start - end.size
    shift = start - end.offset
    around: list[tuple[str, str | None]] = []
    if start < 0 or shift < 0:
        raise BrokenZip("says its directory is where there is no room for it")
    if shift and read_at(end.offset, 4) == CENTRAL:
        around.append((f"has {shift} bytes between its directory and its end record", None))
        start, shift = end.offset, 0
    elif shift:
        around.append((f"has {shift} bytes before its first entry", None))
    if end.stop < size:
        left = size - end.stop
        zeros = left <= _PADDING and not read_at(end.stop, left).strip(b"\0")
        around.append((f"has {left} {'zeros' if zeros else 'bytes'} after its end", _UNPIPED if zeros else None))
    if end.hidden:
        around.append(("has a second end record in its comment or after it", None))
    return start, shift, around


def _read_directory(read_at: ReadAt, start: int, end: End) -> Iterator[Header]:
    at, stop = start, start + end.size
    for _ in range(end.count):
        header = read_central(read_at, at, stop)
        yield header
        at = header.stop
    if at != stop:
        raise BrokenZip(f"says it has {end.count} entries, but its directory goes on")


def _open_entry(read_at: ReadAt, header: Header, shift: int) -> _Entry:
    """An entry with all its own problems, and its local header's."""
    start = header.offset + shift
    name, problems = read_name(header.name, bool(header.flags & _UTF8))
    entry = _Entry(header, start, name, [*problems, *starmap(Problem, _check_claims(header))])
    try:
        local = read_local(read_at, start)
    except BrokenZip as error:
        entry.problems.append(Problem("S408", str(error)))
        return entry
    entry.data = local.stop
    entry.stop = local.stop + header.packed
    streamed = bool(local.flags & STREAMED)
    if streamed:
        length = descriptor_length(read_at, entry.stop, header)
        if length is None:
            entry.problems.append(Problem("S408", "has no data descriptor, or one that contradicts the directory"))
        else:
            entry.stop += length
    if not {local.alias, header.alias} <= {None, header.name}:
        entry.problems.append(Problem("S408", "has another name in its field for Unicode names (0x7075)"))
    differs = _differences(header, local, streamed)
    if differs:
        entry.problems.append(Problem("S408", f"has another {' and '.join(differs)} in its local header"))
    return entry


def _check_claims(header: Header) -> Iterator[tuple[str, str]]:
    """Problems in what the directory says about one entry."""
    folder = header.name.endswith(b"/")
    if stat.S_IFMT(header.mode) not in (0, stat.S_IFDIR if folder else stat.S_IFREG):
        yield "S404", f"is {_kind(header.mode)}"
    if header.flags & (_PASSWORD | _STRONG | _MASKED) or header.method == _AES:
        yield "S405", "is encrypted"
    elif header.method not in (STORED, DEFLATED) or header.flags & _PATCH:
        yield "S406", f"is compressed by method {header.method}" + (" as a patch" if header.flags & _PATCH else "")
    elif header.version > _VERSION:
        yield "S406", f"needs a reader of version {header.version / 10} of the format"
    elif header.method == STORED and header.packed != header.size:
        yield "S408", f"is stored, but has {header.packed} bytes and says {header.size}"
    if folder and header.size:
        yield "S408", f"is a folder with {header.size} bytes of its own"
    if header.size > max(_SMALL, _RATIO * header.packed):
        yield "S410", f"says that {header.packed} bytes unpack to {header.size}"
    if header.disk:
        yield "S414", f"lies on part {header.disk + 1}"
    if header.name.lower().endswith(_ARCHIVES):
        yield "S411", "is an archive itself"


def _differences(header: Header, local: Header, streamed: bool) -> list[str]:
    """What the local header contradicts; a streamed entry may leave its checksum and each of its sizes empty there."""

    def fits(mine: int, said: int) -> bool:
        return mine == said or (streamed and mine == 0)

    same = {
        "name": local.name == header.name,
        "version": local.version <= max(header.version, _VERSION),
        "method": local.method == header.method,
        "encryption": not (local.flags ^ header.flags) & (_PASSWORD | _PATCH | _STRONG | _MASKED),
        "name encoding": not (local.flags ^ header.flags) & _UTF8,
        "checksum": fits(local.crc, header.crc),
        "size": fits(local.packed, header.packed) and fits(local.size, header.size),
    }
    return [what for what, good in same.items() if not good]


def _find_overlaps(entries: Iterable[_Entry], first: int, directory: int) -> list[str]:
    """Give entries that share bytes their problem; return what is to be said of bytes that are no entry's."""
    covered, unused, last = first, 0, None
    whole = True
    for entry in sorted(entries, key=lambda one: one.start):
        if entry.stop is None:
            whole = False
            continue
        if entry.start < covered:
            for one in (entry, last):
                _overlaps(one)
        unused += max(0, entry.start - covered)
        if entry.stop > covered:
            covered, last = entry.stop, entry
    if covered > directory:
        _overlaps(last)
    unused += max(0, directory - covered)
    return [f"has {unused} bytes that belong to none of its entries"] if unused and whole else []


def _overlaps(entry: _Entry | None) -> None:
    problem = Problem("S407", "shares bytes with another entry or with the directory")
    if entry is not None and problem not in entry.problems:
        entry.problems.append(problem)


def _items(read_at: ReadAt, entries: Sequence[_Entry], limits: Limits) -> tuple[Item, ...]:
    items, folders = [], set()
    for entry in entries:
        if entry.name is None:
            continue
        parts = entry.name.split("/")
        folders |= {"/".join(parts[:depth]) for depth in range(1, min(len(parts), _DEPTH))}
        if parts[-1]:
            read = partial(_read, read_at, entry, limits.file_bytes)
            items.append(Item(entry.name, "file", entry.header.size, read))
    items += [Item(folder, "folder", 0, bytes) for folder in folders]
    return tuple(sorted(items, key=lambda item: item.path))


def _read(read_at: ReadAt, entry: _Entry, limit: int) -> bytes:
    for code, message, _ in entry.problems:
        raise BadItem(code, message)
    return unpack(read_at, entry.header, entry.data, limit)


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFLNK: "a symbolic link",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
        stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFDIR: "a folder by its mode and a file by its name",
        stat.S_IFREG: "a file by its mode and a folder by its name",
    }
    return kinds.get(stat.S_IFMT(mode), f"of the unknown file type {stat.S_IFMT(mode):o}")
