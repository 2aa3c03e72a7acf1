"""Tensors as pickles of torch's describe them: a part of a storage, whose numbers are read when they are asked for.

Source: PyTorch, torch/_utils.py and torch/_tensor.py, whose functions the names below are.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Optional

from contest.disk.tensor_files import TORCH_NAMES
from contest.errors import UserError, first_line
from evaluator.torch_files.pickles import Machine, Name, Thing, put
from evaluator.torch_files.records import FREE, Records

# Packages whose objects are found in files of weights. They are not looked up either; what is from elsewhere is told.
FRAMEWORKS: tuple[str, ...] = ("torch", "torchvision", "torchmetrics", "numpy", "pytorch_lightning", "lightning")
FRAMEWORKS += ("lightning_fabric", "ldm", "transformers", "diffusers", "accelerate", "peft", "timm", "omegaconf")
FRAMEWORKS += ("argparse", "pathlib", "collections", "copyreg", "copy_reg", "datetime", "_codecs", "typing", "enum")
FRAMEWORKS += ("functools", "types", "uuid")
BUILTINS: tuple[str, ...] = ("object", "set", "frozenset", "dict", "list", "tuple", "int", "float", "complex", "str")
BUILTINS += ("bytes", "bool", "bytearray", "slice", "range", "type")
_TYPES = {  # storages whose names are not those of their numbers
    "Double": "float64",
    "Float": "float32",
    "Half": "float16",
    "Long": "int64",
    "Int": "int32",
    "Short": "int16",
    "Char": "int8",
    "Byte": "uint8",
    "ComplexFloat": "complex64",
    "ComplexDouble": "complex128",
}
_UNTYPED = "Untyped"
_MOST = 1 << 62  # of what a tensor counts
_AXES = 32  # NumPy's most
_TIED = 8  # tensors that share a storage, at a mean
_LONGEST = 200  # letters of a name that is called
_ARGUMENTS = 12  # that any of the functions below takes
_PAIRS = 1 << 20  # in all dictionaries that are called with them


@contextmanager
def one_line(path: Path, what: str) -> Iterator[None]:
    """Tell of whatever damaged bytes provoke inside the block in a UserError: `what` a file is, or is not."""
    try:
        yield
    except UserError:
        raise
    except MemoryError as error:
        raise UserError(f"{path}: asks for more memory than there is; if it is damaged, fetch it again") from error
    except Exception as error:
        raise UserError(f"{path}: {what} ({first_line(error)}); fetch it again") from error


class Storage(NamedTuple):
    """Of numbers of a type (torch's name, None: bytes that a tensor gives a type)."""

    key: str
    type: Optional[str]
    length: int

    @property
    def bytes(self) -> int:
        return self.length * (1 if self.type is None else item_size(self.type))


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a file. `type` is that of its numbers as safetensors names it, or what it is that is not read."""

    path: Path
    type: str
    shape: tuple[int, ...] = ()
    torch_type: str = ""
    stride: tuple[int, ...] = ()
    offset: int = 0
    storage: Optional[Storage] = None
    negative: bool = False
    conjugate: bool = False
    file: Optional[_File] = None

    @property
    def bytes(self) -> int:
        """What its numbers take by themselves; 0 for one that is not read."""
        return 0 if self.storage is None else math.prod(self.shape) * item_size(self.torch_type)

    def read(self) -> Any:
        """As a torch.Tensor on the CPU; tensors of one storage share it while one of them is in use.

        UserError: its numbers are damaged. Only of a `type` that is read.
        """
        import torch

        assert self.storage is not None and self.file is not None
        with one_line(self.path, "not a readable PyTorch file"):
            kind = getattr(torch, self.torch_type)
            data = self.file.numbers(self.storage)
            whole = len(data) // item_size(self.torch_type)
            flat = torch.frombuffer(data, dtype=kind, count=whole) if whole else torch.empty(0, dtype=kind)
            tensor = flat.as_strided(self.shape, self.stride, self.offset)
            tensor = tensor.neg() if self.negative else tensor
            return tensor.conj().resolve_conj() if self.conjugate else tensor


class Reader(Machine):
    """Makes tensors of what a pickle says. UserError: it names what is no part of a model."""

    def __init__(self, path: Path) -> None:
        self.path, self.file = path, _File()
        self.storages: dict[str, Storage] = {}
        self.pairs = 0

    def name(self, name: Name) -> Any:
        builtin = name.module in ("builtins", "__builtin__") and name.name in BUILTINS
        if not builtin and name.module.partition(".")[0] not in FRAMEWORKS:
            called = f"{name.module}.{name.name}"[:100]
            raise UserError(
                f"{self.path}: asks to call {called!r}, which is no part of a model; nothing was run: "
                "do not trust this file, take the model as .safetensors"
            )
        if len(name.module) + len(name.name) > _LONGEST:
            raise ValueError("a name that is too long")
        return name

    def outside(self, identity: Any) -> Any:
        if not isinstance(identity, tuple) or len(identity) > _ARGUMENTS:
            raise ValueError("no storage")
        if identity[0] == "module":  # a class, in the older container with its program
            return identity[1]
        _, type, key, _, count, *view = identity
        if any(part is not None for part in view) or not isinstance(key, str):
            raise ValueError("a storage of PyTorch before 0.4")
        stem = type.name[: -len("Storage")]
        storage = Storage(key, None if stem == _UNTYPED else _TYPES.get(stem, stem.lower()), _whole(count))
        if self.storages.setdefault(key, storage).bytes != storage.bytes:
            raise ValueError("a storage of two sizes")
        return storage

    def call(self, made: Any, arguments: Any) -> Any:
        if not isinstance(made, Name) or not isinstance(arguments, tuple) or len(arguments) > _ARGUMENTS:
            return Thing(made, arguments)
        if made in (Name("collections", "OrderedDict"), Name("collections", "defaultdict")):
            pairs = arguments[0] if arguments and isinstance(arguments[0], list) else ()
            self.pairs += len(pairs)
            if self.pairs > _PAIRS:
                raise ValueError("too many tables of pairs")
            found: dict[str, Any] = {}
            put(found, pairs)
            return found
        if made == Name("torch", "Size"):
            return arguments[0]
        if made.name in ("_rebuild_from_type", "_rebuild_from_type_v2"):  # function, class, its arguments, attributes
            return self.call(arguments[0], arguments[2])
        if made.module != "torch._utils":
            return Thing(made, arguments)
        if made.name in ("_rebuild_parameter", "_rebuild_parameter_with_state"):
            return arguments[0]
        if made.name in ("_rebuild_tensor", "_rebuild_tensor_v2"):
            return self._tensor(arguments[:4], arguments[0].type, arguments[6:])
        if made.name == "_rebuild_tensor_v3":
            return self._tensor(arguments[:4], arguments[6].name, arguments[7:])
        if made.name.startswith("_rebuild"):
            return StoredTensor(self.path, _unread(made.name, arguments))
        return Thing(made, arguments)

    def _tensor(self, place: Any, type: str, marks: Any) -> StoredTensor:
        storage, offset, size, stride = place
        named = TORCH_NAMES.get(type, f"{type} (quantised)" if type.startswith("q") else type)
        if not item_size(type):
            return StoredTensor(self.path, named)
        shape, strides = tuple(map(_whole, size)), tuple(map(_whole, stride))
        last = _whole(offset) + sum((count - 1) * step for count, step in zip(shape, strides))
        room = storage.bytes // item_size(type)
        if len(shape) != len(strides) or len(shape) > _AXES or (math.prod(shape) > 0 and last >= room):
            raise ValueError("a tensor that lies outside of its storage")
        offset = offset if math.prod(shape) > 0 else 0
        mark = marks[0] if marks and isinstance(marks[0], dict) else {}
        signs = {"negative": mark.get("neg") is True, "conjugate": mark.get("conj") is True}
        return StoredTensor(self.path, named, shape, type, strides, offset, storage, file=self.file, **signs)

    def finish(self, records: Records, prefix: str = "") -> None:
        """Say where the storages are. ValueError: one is not there, or not of the size that was said."""
        missing = [one.key for one in self.storages.values() if prefix + one.key not in records]
        if missing:
            raise ValueError(f"storage {missing[0]} is not there")
        known = [one for one in self.storages.values() if one.type is None or item_size(one.type)]
        short = [one.key for one in known if records.size(prefix + one.key) != one.bytes]
        if short:
            raise ValueError(f"storage {short[0]} is not of the size that it says")
        self.file.open(records, prefix)


def share(path: Path, tensors: Iterable[StoredTensor]) -> None:
    """To be told which tensors of a file will be read, each as often as it will be: what they share is read once.

    UserError: together they count far more numbers than the file stores.
    """
    there = [(tensor, tensor.storage, tensor.file) for tensor in tensors]
    stored = {storage.key: storage.bytes for _, storage, _ in there if storage is not None}
    if sum(tensor.bytes for tensor, _, _ in there) > FREE + _TIED * sum(stored.values()):
        raise UserError(f"{path}: a tensor in it says that it is larger than the file; fetch it again")
    for _, storage, file in there:
        if storage is not None and file is not None:
            file.uses[storage.key] += 1


class _File:
    """Where the numbers of a file's storages are. Those that several tensors share are read once and kept."""

    def __init__(self) -> None:
        self._records: Optional[Records] = None
        self._prefix = ""
        self._kept: dict[str, bytearray] = {}
        self.uses = Counter[str]()

    def open(self, records: Records, prefix: str) -> None:
        self._records, self._prefix = records, prefix

    def numbers(self, storage: Storage) -> bytearray:
        """All bytes of a storage. UserError: they are damaged."""
        assert self._records is not None
        if storage.key in self._kept:
            return self._kept[storage.key]
        data = self._records.read(self._prefix + storage.key)
        if self.uses[storage.key] > 1:
            self._kept[storage.key] = data
        return data


def item_size(type: str) -> int:
    """Bytes of a number of one of torch's types, by its name; 0 for one that is not known."""
    if type == "bool" or type.startswith("float8"):
        return 1
    found = re.fullmatch(r"[a-z]*?(8|16|32|64|128)", type)
    return int(found[1]) // 8 if found else 0


def _unread(rebuild: str, arguments: Any) -> str:
    """What a tensor is that is no part of a storage, in words that no type of numbers has."""
    if rebuild == "_rebuild_meta_tensor_no_storage":
        return f"{arguments[0].name} without numbers (meta)"
    if rebuild == "_rebuild_qtensor":
        return f"{arguments[0].type} (quantised)"
    if rebuild == "_rebuild_sparse_tensor":
        layout = arguments[0]
        named = layout.arguments[0] if isinstance(layout, Thing) and layout.arguments else layout
        return f"sparse ({named[:50].replace('torch.', '') if isinstance(named, str) else 'of another kind'})"
    return f"another ({rebuild[:50]})"


def _whole(number: Any) -> int:
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < _MOST:
        raise ValueError("a size that is none")
    return number
