"""Files of torch's: what a script's state is, against torch.jit.load, and files that ask for more than they have."""

import io
import pickle
import struct
import zipfile

import pytest
import torch

from contest.errors import UserError
from evaluator.torch_files import sound
from evaluator.torch_files.pickled import pickler
from evaluator.torch_files.plain import read_torch
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
        assert found[name].dtype == tensor.dtype and torch.equal(found[name], tensor), name


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


def changed(path, change, **options):
    """Write an archive anew with another pickle."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, change(data) if name.endswith("data.pkl") else data, **options)


def an_archive(path, data):
    torch.save({"a": torch.ones(2)}, path)
    changed(path, lambda _: data)


def readers(path):
    return [lambda: read_torch(path), lambda: read_torch(path, pickler(path))]


PLACE = b"\x80\x02Nr" + struct.pack("<I", 100_000) + b"."  # harmless: a table of 2 MB
PAIRS = b"\x80\x02K\1" + b"".join(b"q%ch%c\x86" % (i, i) for i in range(14)) + b"."  # 16,384 values
NUMBER = b"\x80\x02cbuiltins\nbytearray\nK\2\x85R."  # of two zeros


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (PLACE, "numbers more values than it has"),
        (b"\x80\x02Np100000\n0.", "numbers more values than it has"),
        (PAIRS, "has a tuple of too many values"),
        (PAIRS.replace(b"\x86", b"2\x87"), "has a tuple of too many values"),  # with DUP, in threes
        (b"\x80\x02(K\1" + PAIRS[4:-1] + b"K\1d.", "has a tuple of too many values"),  # as a key
        (NUMBER, "holds a bytearray, which is no tensor"),
        (NUMBER.replace(b"builtins", b"__builtin__"), "holds a bytearray, which is no tensor"),
    ],
)
@pytest.mark.parametrize("old", [False, True])
def test_a_pickle_that_asks_for_more_than_it_has(tmp_path, data, words, old):
    path = tmp_path / "x.ckpt"
    if old:
        path.write_bytes(data)
    else:
        an_archive(path, data)
    for read in readers(path):
        with pytest.raises(UserError, match=rf"x\.ckpt: {words}") as caught:
            read()
        assert "\n" not in str(caught.value)


def test_every_pickle_of_the_older_format_is_looked_at(tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "x.bin", _use_new_zipfile_serialization=False)
    data, stream = (tmp_path / "x.bin").read_bytes(), io.BytesIO((tmp_path / "x.bin").read_bytes())
    ends = [stream.tell() for _ in range(3) if pickle.load(stream) is not None]
    for end in ends:
        (tmp_path / "x.bin").write_bytes(data[:end] + PLACE)
        for read in readers(tmp_path / "x.bin"):
            with pytest.raises(UserError, match="numbers more values than it has"):
                read()


@pytest.mark.parametrize("kind", ["plain", "script"])
def test_a_flipped_bit_is_told(tmp_path, kind):
    path, read = tmp_path / "x.pt", read_script if kind == "script" else read_torch
    if kind == "script":
        torch.jit.script(torch.nn.Linear(8, 8)).save(str(path))
    else:
        torch.save({"weight": torch.ones(8, 8)}, path)
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        member = next(member for member in archive.infolist() if member.filename.endswith("data/0"))
        numbers = archive.read(member)
    before = read(path)["weight"]
    data[data.index(numbers) + 7] ^= 1  # an exponent
    path.write_bytes(data)
    after = torch.load(path)["weight"] if kind == "plain" else torch.jit.load(str(path)).state_dict()["weight"]
    assert int((after != before).sum()) == 1, "torch takes it for another number"
    with pytest.raises(UserError, match="data/0 in it is damaged; fetch it again"):
        read(path)


def test_an_archive_that_becomes_far_larger(tmp_path, monkeypatch):
    path = tmp_path / "x.bin"
    torch.save({"a": torch.zeros(100_000)}, path)
    changed(path, bytes, compress_type=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 100_000
    for read in readers(path)[:1]:
        assert read()["a"].sum() == 0  # somebody packed it again
    monkeypatch.setattr(sound, "FREE", 100_000)
    for read in readers(path):
        with pytest.raises(UserError, match="far larger than the file"):
            read()
    torch.jit.script(Net()).save(str(path))
    monkeypatch.setattr(sound, "FREE", 100)
    with pytest.raises(UserError, match="far larger than the file"):
        read_script(path)


def test_a_tensor_that_nobody_wrote(tmp_path):
    path = tmp_path / "x.bin"
    an_archive(path, b"\x80\x02}X\1\0\0\0actorch\nTensor\nJ" + struct.pack("<i", 100_000_000) + b"\x85Rs.")
    with pytest.raises(UserError, match="a says that it is larger than the file"):
        read_torch(path)


@pytest.mark.parametrize("old", [False, True])
def test_what_is_written_in_earnest_is_read(tmp_path, old):
    shared = tuple(range(700))  # as the state of a generator of random numbers
    value = {f"layer.{i}": torch.full((3,), float(i)) for i in range(3000)}
    value["notes"] = [shared, shared, (1, (2, (3, {"a": shared}))), {(1, 2): 3}]
    torch.save(value, tmp_path / "x.bin", _use_new_zipfile_serialization=not old)
    for read in readers(tmp_path / "x.bin"):
        found = read()
        assert found["notes"] == value["notes"]
        assert all(torch.equal(found[name], value[name]) for name in value if name != "notes")
