"""Reading weight files strictly: one error names all that is missing, unexpected or of another shape."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from submission.errors import UserError
from submission.files import read_json

State = dict[str, Tensor]


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


def read_folder(folder: Path) -> State:
    """The tensors of a Hugging Face folder: model.safetensors, otherwise pytorch_model.bin."""
    path = folder / "model.safetensors"
    if not path.is_file():
        return read_checkpoint(folder / "pytorch_model.bin")
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise UserError(f"{path}: not a readable safetensors file ({error}); fetch it again") from error


def read_checkpoint(path: Path) -> State:
    """The tensors of a `torch.save` file, without running any code in it."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # torch's own words advise to execute what is in the file
        raise UserError(f"{path}: not a PyTorch checkpoint of plain tensors; fetch it again") from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, AttributeError) as error:
        raise UserError(f"{path}: not a readable PyTorch checkpoint ({_first_line(error)}); fetch it again") from error
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
        raise UserError(f"{path}: not a TorchScript archive ({_first_line(error)}); fetch it again") from error


def build(
    make: Callable[[], nn.Module],
    state: Mapping[str, Tensor],
    source: Path,
    device: str,
    ignore: Callable[[str], bool] = lambda name: False,
) -> Any:
    """The network of `make` with the tensors of `state` as float32, in evaluation mode on `device`.

    Every tensor of the network must be in `state` with its shape, and nothing else but what `ignore` accepts.
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
    return network.eval().requires_grad_(False).to(device)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
