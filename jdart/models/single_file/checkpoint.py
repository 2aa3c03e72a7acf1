"""A checkpoint as names, number types, shapes and bytes. Nothing in a file is executed, and no number is changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from contest.disk.tensor_files import read_header, require_readable
from contest.errors import UserError, needs
from evaluator.torch_files.plain import read_torch
from evaluator.torch_files.stored import StoredTensor, share

_STEPS = 1 << 53  # what is more is no count of steps
ENDINGS = (".safetensors", ".ckpt", ".pt", ".pth", ".bin")


@dataclass(frozen=True)
class Checkpoint:
    """What is in a file."""

    path: Path
    types: Mapping[str, str]  # as safetensors names them
    shapes: Mapping[str, tuple[int, ...]]
    sizes: Mapping[str, int]  # bytes
    raw: Callable[[str], np.ndarray]  # name -> bytes (N,) uint8, row by row as a safetensors file has them
    metadata: Mapping[str, str] = field(default_factory=dict)
    global_step: int | None = None  # of the training that wrote a .ckpt


def open_checkpoint(path: Path) -> Checkpoint:
    """Open a .safetensors file, or what torch.save wrote. UserError: not readable, quantised, asks to run code."""
    checkpoint = _open_safetensors(path) if path.suffix.lower() == ".safetensors" else _open_pickle(path)
    require_readable(path, checkpoint.types)
    return checkpoint


def _open_safetensors(path: Path) -> Checkpoint:
    header = read_header(path)

    def raw(name: str) -> np.ndarray:
        stored = header.tensors[name]
        return np.fromfile(path, np.uint8, stored.end - stored.begin, offset=stored.begin)

    shapes = {name: stored.shape for name, stored in header.tensors.items()}
    sizes = {name: stored.end - stored.begin for name, stored in header.tensors.items()}
    metadata = header.metadata if isinstance(header.metadata, Mapping) else {}  # anybody may have written it
    return Checkpoint(path, header.types, shapes, sizes, raw, metadata)


def _open_pickle(path: Path) -> Checkpoint:
    with needs("train"):
        import torch

    state = read_torch(path)
    step = state.get("global_step") if isinstance(state, dict) else None
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict):
        raise UserError(f"{path}: holds no dictionary of tensors; fetch it again")
    tensors = {name: value for name, value in state.items() if isinstance(value, StoredTensor)}
    share(path, tensors.values())

    def raw(name: str) -> np.ndarray:
        array: np.ndarray = tensors[name].read().contiguous().reshape(-1).view(torch.uint8).numpy()
        return array

    types = {name: tensor.type for name, tensor in tensors.items()}
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    sizes = {name: tensor.bytes for name, tensor in tensors.items()}
    known = isinstance(step, int) and 0 <= step < _STEPS
    return Checkpoint(path, types, shapes, sizes, raw, global_step=step if known else None)
