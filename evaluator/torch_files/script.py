"""The tensors of a TorchScript archive. Its programs, some of which torch would run while loading, are only text here.

Source: PyTorch, torch/csrc/jit/docs/serialization.md.
"""

from __future__ import annotations

import io
import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

from contest.disk.tensor_files import instead
from contest.errors import UserError, first_line
from evaluator.torch_files.pickled import Empty
from evaluator.torch_files.plain import require_in_file
from evaluator.torch_files.sound import is_archive, require_sound

_LISTS = ("__parameters__", "__buffers__")  # in a module's program: which of its tensors are in its state


class _Module:
    """What a pickle says of a module: its attributes, by their names."""

    state: Optional[frozenset[str]] = None  # names of parameters and buffers, None where its program does not say
    attributes: Mapping[str, Any] = {}

    def __setstate__(self, attributes: dict[str, Any]) -> None:
        self.attributes = dict(attributes)


def read_script(path: Path) -> dict[str, Any]:
    """Name -> tensor on the CPU, as `state_dict()` has them, without running or compiling what is in the archive.

    UserError: missing, not TorchScript, damaged, or asks for far more memory or time than it has bytes.
    """
    import torch

    try:
        if not is_archive(path):
            raise UserError(f"{path}: not a TorchScript archive; {instead(path)}")
        require_sound(path)
        archive = torch._C.PyTorchFileReader(str(path))
        if "constants.pkl" not in archive.get_all_records():
            raise UserError(f"{path}: not a TorchScript archive, but what torch.save writes; take another file")
        data = archive.get_record("data.pkl")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about storages that know their number type
            return _state(path, _Unpickler(archive, io.BytesIO(data)).load(), len(data))
    except UserError:
        raise
    except MemoryError as error:
        raise UserError(f"{path}: asks for more memory than there is; if it is damaged, fetch it again") from error
    except Exception as error:
        raise UserError(f"{path}: not a TorchScript archive ({first_line(error)}); fetch it again") from error


class _Unpickler(pickle.Unpickler):
    """Puts modules and tensors together, and looks no other name up."""

    def __init__(self, archive: Any, stream: io.BytesIO) -> None:
        super().__init__(stream)
        self._archive = archive
        self._records = set(archive.get_all_records())
        self._storages: dict[str, Any] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module.partition(".")[0] == "__torch__":
            return type(name, (_Module,), {"state": self._in_state(module, name)})
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        return name if module == "torch" and name.endswith("Storage") else Empty

    def persistent_load(self, pid: Any) -> Any:
        """A storage, as a tensor (N,) of its number type."""
        import torch

        _, type, key, _, numbers = pid
        if key not in self._storages:
            kind = getattr(torch, type).dtype
            data = bytearray(self._archive.get_record(f"data/{key}"))
            empty = torch.empty(0, dtype=kind)
            self._storages[key] = torch.frombuffer(data, dtype=kind, count=numbers) if numbers else empty
        return self._storages[key]

    def _in_state(self, module: str, name: str) -> Optional[frozenset[str]]:
        """The names that a module's program lists as parameters and buffers."""
        record = f"code/{module.replace('.', '/')}.py"
        if record not in self._records:
            return None
        program = self._archive.get_record(record).decode()
        begin = re.search(rf"^class {re.escape(name)}\(", program, re.MULTILINE)
        if begin is None:
            return None
        body = re.split(r"^class ", program[begin.end() :], maxsplit=1, flags=re.MULTILINE)[0]
        lists = [re.search(rf"^  {which} = \[(.*)\]$", body, re.MULTILINE) for which in _LISTS]
        listed = [found[1] for found in lists if found]
        return frozenset(re.findall(r'"([^"]*)"', "".join(listed))) if len(listed) == len(_LISTS) else None


def _tensor(storage: Any, offset: int, size: Any, stride: Any, *_: Any) -> Any:
    """A tensor over a part of a storage (N,). RuntimeError: the part is not in it."""
    return storage.as_strided(size, stride, offset)


def _state(path: Path, root: Any, most: int) -> dict[str, Any]:
    """Name -> tensor of a module and the modules in it, of which a pickle of `most` bytes has no more."""
    import torch

    found: dict[str, Any] = {}
    ahead = [("", root)]
    for seen, (prefix, module) in enumerate(ahead):
        if not isinstance(module, _Module) or seen > most:
            raise UserError(f"{path}: not a TorchScript archive of modules and tensors; take another file")
        for name, value in module.attributes.items():
            if isinstance(value, _Module):
                ahead.append((f"{prefix}{name}.", value))
            elif isinstance(value, torch.Tensor) and (module.state is None or name in module.state):
                require_in_file(path, f"{prefix}{name}", value)
                found[f"{prefix}{name}"] = value
    return found
