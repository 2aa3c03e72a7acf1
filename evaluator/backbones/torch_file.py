"""What `torch.save` and TorchScript wrote, read without running anything in it. torch is imported when one is read."""

from __future__ import annotations

import tarfile
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from contest.disk.tensor_files import instead
from contest.errors import UserError, first_line

_SPREAD = 1 << 28  # bytes; a small file can say that one number stands for any number of them
_ZIP = b"PK\x03\x04"  # how torch.load tells the newer of its two formats


def read_torch(path: Path, pickler: Any = None) -> Any:
    """The value in a file of `torch.save`: tensors, and tables and lists of them.

    `pickler` takes the place of torch's own reader, which knows the classes of tensors alone; a UserError of it goes
    through, and of a file in the newer format numbers stay on the disk until they are looked at.
    UserError: missing, damaged, asks to run code, or a tensor whose few numbers are spread over very many.
    """
    import torch

    try:
        how: dict[str, Any] = {"weights_only": True}
        if pickler is not None:
            how = {"weights_only": False, "pickle_module": pickler, "mmap": _require_pickle(path)}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about what is odd in a file
            value = torch.load(path, map_location="cpu", **how)
    except UserError:
        raise
    except (OSError, RuntimeError) as error:
        raise UserError(f"{path}: not a readable PyTorch file ({first_line(error)}); {instead(path)}") from error
    except MemoryError as error:
        raise UserError(f"{path}: asks for more memory than there is; if it is damaged, fetch it again") from error
    except Exception as error:
        # Damaged bytes provoke whatever the pickle's operations can raise. torch's own words (UnpicklingError) advise
        # to execute what is in the file, the others' are a byte's number or nothing.
        raise UserError(f"{path}: not a PyTorch file of plain tensors; {instead(path)}") from error
    for name, item in _items(value):
        if isinstance(item, torch.Tensor) and _spreads(item):
            raise UserError(f"{path}: {name} says that it is larger than the file; fetch it again")
    return value


def read_script(path: Path) -> Any:
    """A TorchScript archive as a module, on the CPU. UserError: it is none, or damaged."""
    import torch

    try:
        with warnings.catch_warnings():
            # torch calls TorchScript deprecated, but it is the format in which OpenAI published the file
            warnings.simplefilter("ignore")
            return torch.jit.load(str(path), map_location="cpu")
    except MemoryError as error:
        raise UserError(f"{path}: asks for more memory than there is; if it is damaged, fetch it again") from error
    except Exception as error:
        raise UserError(f"{path}: not a TorchScript archive ({first_line(error)}); {instead(path)}") from error


def _require_pickle(path: Path) -> bool:
    """Whether a file is of the newer format. UserError where torch.load would do more than unpickle it."""
    with open(path, "rb") as stream:
        newer = stream.read(len(_ZIP)) == _ZIP
    if newer:
        with zipfile.ZipFile(path) as archive:
            script = any(name.rpartition("/")[2] == "constants.pkl" for name in archive.namelist())
    if script if newer else tarfile.is_tarfile(path):
        raise UserError(f"{path}: {'TorchScript' if newer else 'a tar archive'}, not plain tensors; take another file")
    return newer


def _items(value: Any) -> Iterator[tuple[Any, Any]]:
    """What is in a table, and in the tables in it."""
    for name, item in value.items() if isinstance(value, dict) else ():
        yield name, item
        if isinstance(item, dict):
            yield from item.items()


def _spreads(tensor: Any) -> bool:
    """Whether a tensor would take much more memory by itself than what is stored of it."""
    if str(tensor.layout) != "torch.strided" or tensor.is_nested or tensor.device.type == "meta":
        return False  # refused by their kind
    size: int = tensor.numel() * tensor.element_size()
    return size > _SPREAD and size > tensor.untyped_storage().nbytes()
