"""Tensors of weight files as arrays, one by one, and back into a file. Nothing in a file is executed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from contest.disk.tensor_files import TORCH_NAMES, instead, read_header, require_readable
from contest.errors import UserError, needs
from evaluator.torch_files.plain import read_torch
from evaluator.torch_files.stored import StoredTensor, share

NUMPY = {  # the others, bfloat16 and 8-bit floats, are read by PyTorch
    **{f"{kind}{bits}": f"<{kind.lower()}{bits // 8}" for kind in "FIU" for bits in (64, 32, 16)},
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
}
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
    """Tensor by tensor into memory of its own: the library maps the file, all of which then counts as the process's."""
    tensors = read_header(path).tensors
    require_readable(path, {name: stored.type for name, stored in tensors.items()})
    try:
        with open(path, "rb") as file:
            for name, stored in tensors.items():
                file.seek(stored.begin)
                data = bytearray(stored.end - stored.begin)
                if file.readinto(data) < len(data):
                    raise OSError("it ends within a tensor")
                yield name, stored.type, _float32(_numbers(data, stored.type).reshape(stored.shape))
    except OSError as error:
        raise UserError(f"{path}: not a readable safetensors file ({error}); {instead(path)}") from error


def _numbers(data: bytearray, type: str) -> np.ndarray:
    """Bytes of a safetensors file, which is little-endian, as an array (N,)."""
    if type in NUMPY:
        return np.frombuffer(data, NUMPY[type])
    with needs("train"):
        import torch
    kind = next(getattr(torch, name) for name, known in TORCH_NAMES.items() if known == type)
    return _array(torch.frombuffer(data, dtype=kind)) if data else np.zeros(0, np.float32)


def _read_bin(path: Path) -> Iterator[tuple[str, str, np.ndarray]]:
    with needs("train"):
        import torch  # noqa: F401  # without it nothing is read, which is said before anything is

    state = read_torch(path)
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if isinstance(state, dict) and set(state) == IP_ADAPTER and all(isinstance(own, dict) for own in state.values()):
        state = {f"{part}.{name}": value for part, own in state.items() for name, value in own.items()}
    if not isinstance(state, dict) or not all(isinstance(value, StoredTensor) for value in state.values()):
        known = [what for entry, what in NO_TABLES.items() if isinstance(state, dict) and entry in state]
        raise UserError(f"{path}: holds no dictionary of tensors; {known[0] if known else 'fetch it again'}")
    require_readable(path, {name: value.type for name, value in state.items()})
    share(path, state.values())
    for name, value in state.items():
        yield name, value.type, _array(value.read())


def _array(tensor: Any) -> np.ndarray:
    return (tensor.float() if tensor.is_floating_point() else tensor).numpy()


def _float32(array: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, as in PyTorch
        return array.astype(np.float32, copy=False) if array.dtype.kind == "f" else array


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
