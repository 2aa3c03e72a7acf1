"""What `torch.save` wrote, read without running anything in it. torch is imported when a file is read."""

from __future__ import annotations

import tarfile
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from contest.disk.tensor_files import instead
from contest.errors import UserError, first_line
from evaluator.torch_files.sound import FREE, is_archive, require_sound


def read_torch(path: Path, pickler: Any = None) -> Any:
    """The value in a file of `torch.save`: tensors, and tables and lists of them.

    `pickler` (of `pickled.py`) takes the place of torch's own reader, which knows the classes of tensors alone; a
    UserError of it goes through, and of a file in the newer format numbers stay on the disk until they are looked at.
    UserError: missing, damaged, asks to run code, or for far more memory or time than it has bytes.
    """
    import torch

    try:
        _require_no_more(path)
        how: dict[str, Any] = {"weights_only": True}
        if pickler is not None:
            how = {"weights_only": False, "pickle_module": pickler, "mmap": is_archive(path)}
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
        if isinstance(item, torch.Tensor):
            require_in_file(path, name, item)
    return value


def require_in_file(path: Path, name: Any, tensor: Any) -> None:
    """UserError: a tensor has far more numbers than its file; a small file can say one number stands for very many."""
    if str(tensor.layout) != "torch.strided" or tensor.is_nested or tensor.device.type == "meta":
        return  # refused by their kind
    if tensor.numel() * tensor.element_size() > max(FREE, path.stat().st_size):
        raise UserError(f"{path}: {name} says that it is larger than the file; fetch it again")


def _require_no_more(path: Path) -> None:
    """UserError: torch.load would do more with a file than unpickle it, or it asks for more than it has."""
    if is_archive(path):
        with zipfile.ZipFile(path) as archive:
            names = [name.rpartition("/")[2] for name in archive.namelist()]
        if "constants.pkl" in names:
            raise UserError(f"{path}: TorchScript, not plain tensors; take another file")
    elif tarfile.is_tarfile(path):
        raise UserError(f"{path}: a tar archive, not plain tensors; take another file")
    require_sound(path)


def _items(value: Any) -> Iterator[tuple[Any, Any]]:
    """What is in a table, and in the tables in it."""
    for name, item in value.items() if isinstance(value, dict) else ():
        yield name, item
        if isinstance(item, dict):
            yield from item.items()
