"""What `torch.save` and TorchScript wrote, read without running anything in it. torch is imported when one is read."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from contest.disk.tensor_files import instead
from contest.errors import UserError, first_line

_SPREAD = 1 << 28  # bytes; a small file can say that one number stands for any number of them


def read_torch(path: Path) -> Any:
    """The value in a file of `torch.save`: tensors, and tables and lists of them.

    UserError: missing, damaged, asks to run code, or a tensor whose few numbers are spread over very many.
    """
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about what is odd in a file
            value = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError) as error:
        raise UserError(f"{path}: not a readable PyTorch file ({first_line(error)}); {instead(path)}") from error
    except MemoryError as error:
        raise UserError(f"{path}: asks for more memory than there is; if it is damaged, fetch it again") from error
    except Exception as error:
        # Damaged bytes provoke whatever the pickle's operations can raise. torch's own words (UnpicklingError) advise
        # to execute what is in the file, the others' are a byte's number or nothing.
        raise UserError(f"{path}: not a PyTorch file of plain tensors; {instead(path)}") from error
    for name, tensor in value.items() if isinstance(value, dict) else ():
        if isinstance(tensor, torch.Tensor) and _spreads(tensor):
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


def _spreads(tensor: Any) -> bool:
    """Whether a tensor would take much more memory by itself than what is stored of it."""
    if str(tensor.layout) != "torch.strided" or tensor.is_nested or tensor.device.type == "meta":
        return False  # refused by their kind
    size: int = tensor.numel() * tensor.element_size()
    return size > _SPREAD and size > tensor.untyped_storage().nbytes()
