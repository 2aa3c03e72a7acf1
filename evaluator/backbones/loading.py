"""Reading weight files strictly: one error names all that is missing, unexpected or of another shape."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from contest.disk.files import read_json
from contest.disk.tensor_files import TORCH_NAMES, read_header, require_readable
from contest.errors import UserError
from evaluator.backbones.packed import fold_norms, pack_linears
from evaluator.memory import give_back
from evaluator.torch_files.plain import read_torch
from evaluator.torch_files.script import read_script
from evaluator.torch_files.stored import StoredTensor, share

State = dict[str, Tensor]

_TYPES = {type: getattr(torch, name) for name, type in TORCH_NAMES.items() if hasattr(torch, name)}


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
    return dict(_read_tensors(path, leave))


def _read_tensors(path: Path, leave: Callable[[str], bool]) -> Iterator[tuple[str, Tensor]]:
    """Tensor by tensor into memory of its own, which goes back to the system when the tensor goes.

    The library maps the whole file, and the map stays in memory as long as one of its tensors is in use; here a layer
    that is laid out anew (packed.py) frees what it was read from.
    """
    wanted = {name: stored for name, stored in read_header(path).tensors.items() if not leave(name)}
    require_readable(path, {name: stored.type for name, stored in wanted.items()})
    new = sorted({stored.type for stored in wanted.values()} - set(_TYPES))
    if new:
        raise UserError(f"{path}: this PyTorch knows no numbers of type {new[0]}; install a newer one")
    with open(path, "rb") as stream:
        for name, stored in wanted.items():
            kind, size = _TYPES[stored.type], stored.end - stored.begin
            if size == 0:
                yield name, torch.empty(stored.shape, dtype=kind)
                continue
            memory = mmap.mmap(-1, size)
            stream.seek(stored.begin)
            stream.readinto(memory)
            yield name, _usable(torch.frombuffer(memory, dtype=kind).reshape(stored.shape))


def read_checkpoint(path: Path) -> State:
    """The tensors of a `torch.save` file, without running any code in it."""
    state = read_torch(path)
    if not isinstance(state, dict) or not all(isinstance(value, StoredTensor) for value in state.values()):
        raise UserError(f"{path}: holds no table of tensors; fetch it again")
    return _plain(path, state)


def read_archive(path: Path) -> State:
    """The tensors of a TorchScript archive."""
    return _plain(path, read_script(path))


def _plain(path: Path, state: Mapping[str, StoredTensor]) -> State:
    """The tensors of a checkpoint, once each is of a number type that is read."""
    require_readable(path, {name: tensor.type for name, tensor in state.items()})
    share(path, state.values())
    return {name: _usable(tensor.read()) for name, tensor in state.items()}


def _usable(tensor: Tensor) -> Tensor:
    """torch computes nothing in 8-bit floats, not even whether they are finite."""
    return tensor.float() if tensor.is_floating_point() and tensor.itemsize == 1 else tensor


def table(rows: int, width: int) -> nn.Embedding:
    """An nn.Embedding whose values are still to come.

    Its own constructor draws some, for which, on the meta device, PyTorch imports its compiler: 2.4 s and 150 MB.
    """
    return nn.Embedding.from_pretrained(torch.empty(rows, width))


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
    problems += [
        f"{name} holds whole numbers ({given[name].dtype}), as in quantised files"
        for name, tensor in wanted.items()
        if name in given and tensor.is_floating_point() and not given[name].is_floating_point()
    ]
    problems += [f"{name} is not finite" for name, tensor in given.items() if not _is_finite(tensor)]
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
    give_back()
    return network


def _is_finite(tensor: Tensor) -> bool:
    """Of all numbers. Their sum says it at a tenth of the time, unless it overflows."""
    return not tensor.is_floating_point() or bool(tensor.sum().isfinite()) or bool(tensor.isfinite().all())
