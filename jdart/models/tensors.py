"""Tensors of weight files as arrays, one by one, and back into a file. Nothing in a file is executed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from contest.disk.tensor_files import instead, read_header, require_readable, torch_type
from contest.errors import UserError, needs
from evaluator.backbones.torch_file import read_torch

NUMPY = ("F64", "F32", "F16", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL")
IP_ADAPTER = {"image_proj", "ip_adapter"}  # a .bin has a dictionary of each, a .safetensors prefixes
NO_TABLES = {  # entries of files that hold more than tensors, by which they are told
    "string_to_param": "it is a textual inversion embedding of the WebUI",
    "optimizer": "it is a training checkpoint",
}


def read_tensors(paths: list[Path]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, array) from .safetensors or .bin files. Floating-point tensors come as float32, others as they are.

    A .bin file is read without executing anything in it; files whose zip checksums are zero are read too; names in the
    two dictionaries of an IP-Adapter are those of its .safetensors. UserError, before the first tensor of a file is
    yielded: it is truncated, of another kind, quantised, or of a number type that is not read
    (`contest.disk.tensor_files`).
    """
    for path in paths:
        for name, _, array in read_typed(path):
            yield name, array


def read_typed(path: Path) -> Iterator[tuple[str, str, np.ndarray]]:
    """(name, number type in the file as safetensors names it, array as `read_tensors` has it)."""
    return _read_safetensors(path) if path.suffix == ".safetensors" else _read_bin(path)


def _read_safetensors(path: Path) -> Iterator[tuple[str, str, np.ndarray]]:
    with needs("train"):
        from safetensors import SafetensorError, safe_open

    types = read_header(path).types
    require_readable(path, types)
    torch_only = any(type not in NUMPY for type in types.values())  # NumPy has no bfloat16 and no float8
    try:
        with safe_open(path, framework="pt" if torch_only else "numpy") as file:
            for name, type in types.items():
                tensor = file.get_tensor(name)
                yield name, type, _float32(_array(tensor) if torch_only else tensor)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: not a readable safetensors file ({error}); {instead(path)}") from error


def _read_bin(path: Path) -> Iterator[tuple[str, str, np.ndarray]]:
    with needs("train"):
        import torch

    state = read_torch(path)
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if isinstance(state, dict) and set(state) == IP_ADAPTER and all(isinstance(own, dict) for own in state.values()):
        state = {f"{part}.{name}": value for part, own in state.items() for name, value in own.items()}
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        known = [what for entry, what in NO_TABLES.items() if isinstance(state, dict) and entry in state]
        raise UserError(f"{path}: holds no dictionary of tensors; {known[0] if known else 'fetch it again'}")
    types = {str(name): torch_type(value) for name, value in state.items()}
    require_readable(path, types)
    for name, value in state.items():
        yield str(name), types[str(name)], _array(value.detach().resolve_neg())


def _array(tensor: Any) -> np.ndarray:
    return (tensor.float() if tensor.is_floating_point() else tensor).numpy()


def _float32(array: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, as in PyTorch
        return array.astype(np.float32) if array.dtype.kind == "f" else array


def to_safetensors(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """The bytes of a .safetensors file, equal for equal input: the library writes metadata in a random order.

    Arrays may lie in memory in any order; safetensors 0.8 would write those in Fortran order scrambled.
    """
    with needs("train"):
        from safetensors.numpy import save
    data = save({name: np.asarray(array, order="C") for name, array in tensors.items()}, metadata=dict(metadata))
    length = int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8 : 8 + length]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # the format aligns the numbers that follow
    return len(header).to_bytes(8, "little") + header + data[8 + length :]
