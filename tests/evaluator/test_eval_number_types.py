"""Number types of the evaluator's weights: read as PyTorch reads them, or refused in one line."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from contest.errors import UserError
from evaluator.backbones.loading import build, read_checkpoint, read_folder

FLOATS = ("float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")
REFUSED = {
    "int8": "weight holds whole numbers",
    "uint8": "weight holds whole numbers",
    "bool": "weight holds whole numbers",
    "complex64": "weight is of type (C64|complex64), which is not read",
}


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("name", [*FLOATS, *REFUSED])
def test_a_network_of_any_type(name, file, tmp_path):
    weight = torch.tensor([[0.5, 2.0], [1.0, 0.0], [3.0, 7.0]]).to(getattr(torch, name))
    state = {"weight": weight, "bias": torch.zeros(3)}
    (save_file if file.endswith(".safetensors") else torch.save)(state, tmp_path / file)
    if name in REFUSED:
        with pytest.raises(UserError, match=REFUSED[name]):
            build(lambda: nn.Linear(2, 3), read_folder(tmp_path), tmp_path, "cpu")
        return
    found = read_folder(tmp_path)["weight"].float()
    assert torch.equal(found, weight.float())
    network = build(lambda: nn.Linear(2, 3), read_folder(tmp_path), tmp_path, "cpu")
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


@pytest.mark.filterwarnings("ignore")
def test_tensors_that_hold_no_plain_numbers_are_refused(tmp_path):
    for tensor, word in ((torch.eye(3).to_sparse(), "sparse_coo"), (torch.empty(3, 3, device="meta"), "meta")):
        torch.save({"weight": tensor}, tmp_path / "x.pth")
        with pytest.raises(UserError, match=rf"x\.pth: weight is of type .*{word}"):
            read_checkpoint(tmp_path / "x.pth")
