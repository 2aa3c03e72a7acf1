"""TorchScript archives: their state is that of torch.jit.load, and their programs are not run."""

from enum import Enum

import pytest
import torch
from torch_archives import changed

from contest.errors import UserError
from evaluator.torch_files.script import read_script

pytestmark = pytest.mark.filterwarnings("ignore")  # torch calls TorchScript deprecated


class Net(torch.nn.Module):
    """Of every kind of tensor that a module may have."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.conv = torch.nn.Conv2d(3, 4, 3)
        self.norm = torch.nn.BatchNorm2d(4)
        self.blocks = torch.nn.ModuleList([torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)])
        self.blocks[1].weight = self.blocks[0].weight
        self.halves = torch.nn.Parameter(torch.rand(2, 3, generator=generator).half().t())
        self.register_buffer("input_resolution", torch.tensor(224))
        self.register_buffer("lost", torch.zeros(3), persistent=False)
        self.register_buffer("none", torch.zeros(0, 4))
        self.register_buffer("flags", torch.tensor([True, False]))
        self.register_buffer("part", torch.arange(12.0, dtype=torch.float64)[3:9:2])
        self.register_buffer("brain", torch.rand(3, generator=generator).bfloat16())
        self.register_buffer("signed", torch.ones(3, dtype=torch.complex64).conj().imag)
        self.register_buffer("eight", torch.ones(3).to(torch.float8_e4m3fn))
        self.parts = torch.nn.ModuleDict({"a": torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Linear(4, 4))})
        self.mask = torch.ones(2)  # neither parameter nor buffer

    def forward(self, x):
        x = self.norm(self.conv(x)).mean((2, 3)) + self.mask.sum()
        for block in self.blocks:
            x = block(x)
        return x * torch.tensor([1.0, 2.0, 3.0, 4.0])


@pytest.mark.parametrize("way", ["script", "trace"])
def test_the_state_of_a_script_is_that_of_torch(tmp_path, way):
    made = torch.jit.script(Net()) if way == "script" else torch.jit.trace(Net(), torch.ones(1, 3, 8, 8))
    made.save(str(tmp_path / "x.pt"))
    expected, found = torch.jit.load(str(tmp_path / "x.pt")).state_dict(), read_script(tmp_path / "x.pt")
    assert set(found) == set(expected) and "mask" not in found and "blocks.1.weight" in found
    for name, tensor in expected.items():
        read = found[name].read()
        assert read.dtype == tensor.dtype, name
        assert torch.equal(read.float(), tensor.float()), name


class Shouts(torch.nn.Module):
    """A module whose program torch runs while it loads it."""

    def __init__(self):
        super().__init__()
        self.weight = torch.ones(2)

    @torch.jit.export
    def __getstate__(self):
        return (self.weight, True)

    @torch.jit.export
    def __setstate__(self, state: tuple[torch.Tensor, bool]):
        print("a program of the archive runs")
        self.weight = state[0]
        self.training = state[1]

    def forward(self, x):
        return x + self.weight


def test_a_script_s_programs_are_not_run(tmp_path, capfd):
    torch.jit.script(Shouts()).save(str(tmp_path / "x.pt"))
    torch.jit.load(str(tmp_path / "x.pt"))
    assert "runs" in capfd.readouterr().out
    with pytest.raises(UserError, match="not a TorchScript archive"):  # its state is no table of tensors
        read_script(tmp_path / "x.pt")
    assert capfd.readouterr().out == ""


def test_modules_within_themselves_come_to_an_end(tmp_path):
    torch.jit.script(torch.nn.Sequential(torch.nn.ReLU())).save(str(tmp_path / "x.pt"))
    ends = b"\x80\x02c__torch__\nA\nq\0)\x81q\1}(X\1\0\0\0aq\2h\1ub."  # a module that is its own part
    changed(tmp_path / "x.pt", lambda data: ends)
    with pytest.raises(UserError, match="not a TorchScript archive of modules and tensors"):
        read_script(tmp_path / "x.pt")


def test_what_torch_save_wrote_is_no_script(tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "x.pt")
    with pytest.raises(UserError, match="but what torch.save writes"):
        read_script(tmp_path / "x.pt")


class Settings:
    """An object of an archive's own, which is no module."""

    def __init__(self, table: torch.Tensor):
        self.table = table


class Kind(Enum):
    ONE = 1


class WithObjects(torch.nn.Module):
    kind: Kind
    settings: Settings

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(2))
        self.kind, self.settings = Kind.ONE, Settings(torch.ones(3))

    def forward(self, x):
        return x * self.weight + self.settings.table.sum() if self.kind == Kind.ONE else x


def test_objects_of_a_script_are_no_modules(tmp_path):
    torch.jit.script(WithObjects()).save(str(tmp_path / "x.pt"))
    assert set(read_script(tmp_path / "x.pt")) == set(torch.jit.load(str(tmp_path / "x.pt")).state_dict()) == {"weight"}
