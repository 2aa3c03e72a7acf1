"""A file of torch's looked through before it is read: is it whole, and is what it asks for in proportion to its bytes?

torch.save writes a checksum of every member of its archive, and torch.load compares none: a flipped bit is another
number. Python's unpickler, torch's two and its zip reader take a file's word for sizes, too. A table of places with one
entry may be said to have four thousand million, an archive of a megabyte may become a gigabyte, and a pair of pairs of
pairs takes twice the time to look up with each two bytes. What writes such files in earnest never does that.
"""

from __future__ import annotations

import io
import pickletools
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

from contest.errors import UserError

FREE = 1 << 28  # bytes that any file may ask for
_CHUNK = 1 << 20  # bytes read at a time
_PLACES = 1 << 16  # of a pickle's memo, that any pickle may number
_TUPLE = 10_000  # values in a tuple and the tuples in it, each as often as it is met
_NO_KEYS = (pickletools.pylist, pickletools.pydict, pickletools.pyset)  # nobody looks them up, whatever is in them
_ANY_SIZE = ("builtins bytearray", "__builtin__ bytearray")  # torch's reader makes one of a number, as many zeros
_ZIP = b"PK\x03\x04"  # how torch.load tells the newer of its two formats
_OLD_PICKLES = 5  # of the older: a number, a version, the machine, the value, its storages' names; numbers follow


def is_archive(path: Path) -> bool:
    """Whether torch would read a file as an archive, the newer of its formats. OSError: it cannot be opened."""
    with open(path, "rb") as stream:
        return stream.read(len(_ZIP)) == _ZIP


def require_sound(path: Path) -> None:
    """UserError: a member of an archive is not what its checksum says; a pickle, or the archive, asks for far more
    memory or time than it has bytes.

    Other errors: it is damaged. pickletools and zipfile raise what they like then.
    """
    if not is_archive(path):
        with open(path, "rb") as stream:
            for _ in range(_OLD_PICKLES):
                _look_through(stream, path)
        return
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > max(FREE, path.stat().st_size):
            raise UserError(f"{path}: what is packed in it is far larger than the file; fetch it again")
        for member in members:
            if not member.CRC:
                del member.CRC  # none was written (torch's set_crc32_options, and others); zipfile compares it if there
            _require_whole(archive, member, path)
            if member.filename.endswith(".pkl"):
                _look_through(io.BytesIO(archive.read(member)), path)


def _require_whole(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> None:
    try:
        with archive.open(member) as stream:
            while stream.read(_CHUNK):
                pass
    except zipfile.BadZipFile as error:
        raise UserError(f"{path}: {member.filename} in it is damaged; fetch it again") from error


def _look_through(stream: BinaryIO, path: Path) -> None:
    """One pickle, to its end: places of the memo, and the sizes of tuples, on a stack of sizes in the values' place."""
    stack: list[int] = []
    marks: list[int] = []
    memo: dict[Any, int] = {}
    for operation, argument, position in pickletools.genops(stream):
        name, taken = operation.name, len(operation.stack_before)
        if argument in _ANY_SIZE:
            raise UserError(f"{path}: holds a bytearray, which is no tensor; take another file")
        if name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            place: int = len(memo) if argument is None else argument
            if place > max(_PLACES, position or 0):
                raise UserError(f"{path}: numbers more values than it has; if it is damaged, fetch it again")
            memo[place] = stack[-1]
            continue
        if name == "MARK":
            marks.append(len(stack))
            continue
        if name == "POP" and marks and marks[-1] == len(stack):
            marks.pop()
            continue
        if pickletools.markobject in operation.stack_before:
            below = operation.stack_before.index(pickletools.markobject)
            taken = len(stack) - marks.pop() + below
        parts = stack[len(stack) - taken :]
        del stack[len(stack) - taken :]
        if name in ("GET", "BINGET", "LONG_BINGET"):
            size = memo[argument]
        elif name == "DUP":
            size = parts[0]
        elif operation.stack_after and operation.stack_after[0] in _NO_KEYS:
            size = 1
        else:
            size = 1 + sum(parts)
        if size > _TUPLE:
            raise UserError(f"{path}: has a tuple of too many values; if it is damaged, fetch it again")
        stack.extend([size] * len(operation.stack_after))
