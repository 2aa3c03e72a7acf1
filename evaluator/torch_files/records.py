"""The two containers of torch's: an archive of records (since PyTorch 1.6), and a file in which all follows (before).

Source: PyTorch, torch/serialization.py. torch writes a checksum of every record and compares none; here each is
compared when the record is read.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Union

from contest.errors import UserError

FREE = 1 << 26  # bytes that any file may ask for beyond its own
_TIMES = 4  # an archive that was packed anew may become so many times its size
_PICKLE_TIMES, _PICKLE_FREE = 40, 1 << 16  # a pickle, so many times what it takes packed
_CHUNK = 1 << 20
_ZIP = b"PK\x03\x04"
_PICKLE = "data.pkl"
_ORDER, OTHER_ORDER = "byteorder", "written on a machine of another byte order; take it as .safetensors"
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def is_archive(path: Path) -> bool:
    """Whether a file is an archive, by its first bytes. OSError: it cannot be opened."""
    with open(path, "rb") as stream:
        return stream.read(len(_ZIP)) == _ZIP


class Archive:
    """Records of an archive by their names below its folder: data.pkl, data/0, ...

    UserError: it would become far larger than it is, or is of another byte order. zipfile's errors: it is none, or
    damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._archive = zipfile.ZipFile(path)  # open as long as something is to be read from it
        members = self._archive.infolist()
        if sum(member.file_size for member in members) > max(FREE, _TIMES * path.stat().st_size):
            raise UserError(f"{path}: what is packed in it is far larger than the file; fetch it again")
        if any(member.compress_type not in _PACKED for member in members):  # others unpack without a limit
            raise UserError(f"{path}: packed in a way of which PyTorch knows nothing; pack it again as usual")
        main = min((m.filename for m in members if m.filename.endswith(f"/{_PICKLE}")), key=len, default="")
        folder = main[: -len(_PICKLE)]
        inside = [member for member in members if main and member.filename.startswith(folder)]
        self._members = {member.filename[len(folder) :]: member for member in inside}
        if _ORDER in self and bytes(self.read(_ORDER)) != b"little":
            raise UserError(f"{path}: {OTHER_ORDER}")

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def pickle(self) -> BinaryIO:
        """The main pickle. UserError: it would become far larger than it is packed."""
        member = self._members[_PICKLE]
        if member.file_size > _PICKLE_TIMES * member.compress_size + _PICKLE_FREE:
            raise UserError(f"{self._path}: what is packed in it is far larger than the file; fetch it again")
        return io.BytesIO(self.read(_PICKLE))

    def size(self, name: str) -> int:
        """Bytes of a record."""
        return self._members[name].file_size

    def read(self, name: str) -> bytearray:
        """A record. UserError: it is damaged."""
        member = self._members[name]
        if getattr(member, "CRC", None) == 0:
            del member.CRC  # none was written (torch's set_crc32_options, and others); zipfile compares it if there
        data = bytearray(member.file_size)
        try:
            with self._archive.open(member) as stream:
                at = 0
                while chunk := stream.read(_CHUNK):  # to its end, where the checksum is compared
                    data[at : at + len(chunk)] = chunk
                    at += len(chunk)
        except (zipfile.BadZipFile, EOFError) as error:
            raise UserError(f"{self._path}: {name} in it is damaged; fetch it again") from error
        if at != len(data):
            raise UserError(f"{self._path}: {name} in it is cut short; fetch it again")
        return data


class Parts:
    """The storages of a file of the older kind, by their names: `places` are first bytes and sizes."""

    def __init__(self, path: Path, places: Mapping[str, tuple[int, int]]) -> None:
        self._path, self._places = path, places

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def size(self, name: str) -> int:
        """Bytes of a storage."""
        return self._places[name][1]

    def read(self, name: str) -> bytearray:
        """A storage. EOFError: the file ends in it."""
        at, size = self._places[name]
        data = bytearray(size)
        with open(self._path, "rb") as stream:
            stream.seek(at)
            if stream.readinto(data) < size:
                raise EOFError("it ends within its numbers")
        return data


Records = Union[Archive, Parts]
