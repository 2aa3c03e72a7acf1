"""Reading weight files strictly: one error names all that is missing, unexpected or of another shape."""

from __future__ import annotations

import json
import math
import mmap
import pickle
import struct
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from evaluator.backbones.packed import fold_norms, pack_linears
from submission.errors import UserError, first_line
from submission.files import read_json

State = dict[str, Tensor]

_MAX_HEADER = 100_000_000  # bytes; the library's own limit
_TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


def read_config(path: Path) -> dict[str, Any]:
    """A JSON object. Raises UserError."""
    data = read_json(path)
    if not isinstance(data, dict):
        raise UserError(f"{path}: must hold a JSON object")
    return data


def require(config: Mapping[str, Any], key: str, path: Path) -> int:
    """The positive whole number `config[key]`. Raises UserError."""
    value = config.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise UserError(f"{path}: {key} must be a positive whole number, not {value!r}")
    return value


def read_folder(folder: Path, leave: Callable[[str], bool] = lambda name: False) -> State:
    """The tensors of a Hugging Face folder, but those to `leave`: model.safetensors, otherwise pytorch_model.bin."""
    path = folder / "model.safetensors"
    if not path.is_file():
        state = read_checkpoint(folder / "pytorch_model.bin")
        return {name: tensor for name, tensor in state.items() if not leave(name)}
    try:
        return dict(_read_tensors(path, leave))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, struct.error) as error:
        raise UserError(f"{path}: not a readable safetensors file ({first_line(error)}); fetch it again") from error


def _read_tensors(path: Path, leave: Callable[[str], bool]) -> Iterator[tuple[str, Tensor]]:
    """Tensor by tensor into memory of its own, which goes back to the system when the tensor goes.

    The library maps the whole file, and the map stays in memory as long as one of its tensors is in use; here a layer
    that is laid out anew (packed.py) frees what it was read from. Format: huggingface/safetensors, README.
    """
    with open(path, "rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        header = json.loads(stream.read(length) if length <= _MAX_HEADER else b"")
        start, size = 8 + length, path.stat().st_size
        for name, entry in header.items():
            if name == "__metadata__" or leave(name):
                continue
            kind, shape, (begin, end) = _TYPES[entry["dtype"]], entry["shape"], entry["data_offsets"]
            if not 0 <= begin <= end <= size - start or end - begin != kind.itemsize * math.prod(shape):
                raise ValueError(f"{name} lies outside the file")
            if begin == end:
                yield name, torch.empty(shape, dtype=kind)
                continue
            memory = mmap.mmap(-1, end - begin)
            stream.seek(start + begin)
            stream.readinto(memory)
            yield name, torch.frombuffer(memory, dtype=kind).reshape(shape)


def read_checkpoint(path: Path) -> State:
    """The tensors of a `torch.save` file, without running any code in it."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # torch's own words advise to execute what is in the file
        raise UserError(f"{path}: not a PyTorch checkpoint of plain tensors; fetch it again") from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, AttributeError) as error:
        raise UserError(f"{path}: not a readable PyTorch checkpoint ({first_line(error)}); fetch it again") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{path}: holds no table of tensors; fetch it again")
    return state


def read_archive(path: Path) -> State:
    """The tensors of a TorchScript archive."""
    try:
        with warnings.catch_warnings():
            # torch calls TorchScript deprecated, but it is the format in which OpenAI published the file
            warnings.simplefilter("ignore")
            return dict(torch.jit.load(str(path), map_location="cpu").state_dict())
    except (RuntimeError, ValueError, EOFError) as error:
        raise UserError(f"{path}: not a TorchScript archive ({first_line(error)}); fetch it again") from error


def build(
    make: Callable[[], nn.Module],
    state: State,
    source: Path,
    device: str,
    ignore: Callable[[str], bool] = lambda name: False,
) -> Any:
    """The network of `make` with the tensors of `state` as float32, in evaluation mode on `device`.

    Every tensor of the network must be in `state` with its shape, and nothing else but what `ignore` accepts.
    `state` is used up: what a layer was made from is freed with it.
    """
    with torch.device("meta"):
        network = make()
    wanted = network.state_dict()
    given = {name: tensor for name, tensor in state.items() if name in wanted or not ignore(name)}
    problems = [f"{name} is missing" for name in wanted if name not in given]
    problems += [f"{name} is not expected" for name in given if name not in wanted]
    problems += [
        f"{name} has shape {tuple(given[name].shape)}, not {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in given and given[name].shape != tensor.shape
    ]
    problems += [f"{name} is not finite" for name, tensor in given.items() if not tensor.isfinite().all()]
    if problems:
        raise UserError(f"{source}: wrong tensors: {'; '.join(problems)}")
    floats = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in given.items()}
    network.load_state_dict(floats, assign=True)
    network = network.eval().requires_grad_(False)
    fold_norms(network)
    network = network.to(device, memory_format=torch.channels_last)  # what oneDNN and cuDNN work in
    for table in (floats, given, state):
        table.clear()
    if device == "cpu":
        pack_linears(network)
    return network
