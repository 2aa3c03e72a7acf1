"""What `torch.save` wrote, read without torch's reader and without running anything in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from contest.disk.tensor_files import instead
from contest.errors import UserError, first_line
from evaluator.torch_files.pickles import Machine
from evaluator.torch_files.records import OTHER_ORDER, Archive, Parts, is_archive
from evaluator.torch_files.stored import Reader

_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001  # with which a file of the older kind begins
_TAR, _TAR_AT = b"ustar", 257


def read_torch(path: Path) -> Any:
    """The value in a file of `torch.save`: `StoredTensor`s, and tables and lists of them; other objects are `Thing`s.

    The entries of a table are those under texts and whole numbers. UserError: missing, damaged, asks to run what is no
    part of a model, or for far more memory than it has bytes.
    """
    try:
        return _read_archive(path) if is_archive(path) else _read_old(path)
    except UserError:
        raise
    except (OSError, RuntimeError) as error:
        raise UserError(f"{path}: not a readable PyTorch file ({first_line(error)}); {instead(path)}") from error
    except MemoryError as error:
        raise UserError(f"{path}: asks for more memory than there is; if it is damaged, fetch it again") from error
    except Exception as error:  # damaged bytes provoke whatever the operations on them can raise
        raise UserError(f"{path}: not a PyTorch file of plain tensors; {instead(path)}") from error


def _read_archive(path: Path) -> Any:
    archive = Archive(path)
    if "constants.pkl" in archive:
        raise UserError(f"{path}: TorchScript, not plain tensors; take another file")
    reader = Reader(path)
    value = reader.read(archive.pickle())
    reader.finish(archive, "data/")
    return value


def _read_old(path: Path) -> Any:
    """A number, a version, the machine, the value, the storages' names: pickles one after the other; then numbers."""
    reader, plain, size = Reader(path), Machine(), path.stat().st_size
    with open(path, "rb") as stream:
        stream.seek(_TAR_AT)
        if stream.read(len(_TAR)) == _TAR:
            raise UserError(f"{path}: a tar archive, not plain tensors; take another file")
        stream.seek(0)
        if (plain.read(stream), plain.read(stream)) != (_MAGIC, _VERSION):
            raise ValueError("another kind of pickle")
        if plain.read(stream).get("little_endian") is not True:
            raise UserError(f"{path}: {OTHER_ORDER}")
        value = reader.read(stream)
        places = {}
        for key in plain.read(stream):
            if not isinstance(key, str):
                raise ValueError("a storage without a name")
            storage, at = reader.storages[key], stream.tell() + 8
            if int.from_bytes(stream.read(8), "little") != storage.length or at + storage.bytes > size:
                raise ValueError("it ends within its numbers")
            places[key] = (at, storage.bytes)
            stream.seek(at + storage.bytes)
    reader.finish(Parts(path, places))
    return value
