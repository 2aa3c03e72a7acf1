"""Files of torch.save, against torch.load, and files that ask for more than they have."""

import argparse
import io
import pickle
import random
import struct
import tracemalloc
import zipfile
from collections import OrderedDict
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from torch_archives import changed

from contest.disk.tensor_files import TORCH_NAMES
from contest.errors import UserError
from evaluator.backbones.loading import read_checkpoint
from evaluator.torch_files import records
from evaluator.torch_files.pickles import Machine
from evaluator.torch_files.plain import read_torch
from evaluator.torch_files.script import read_script
from evaluator.torch_files.stored import Reader, share
from jdart.models.single_file.checkpoint import open_checkpoint
from jdart.models.tensors import read_tensors

pytestmark = pytest.mark.filterwarnings("ignore")  # torch calls TorchScript deprecated


def an_archive(path, data):
    torch.save({"a": torch.ones(2)}, path)
    changed(path, lambda _: data)
    return path


def peak(work):
    """What it returns, and the bytes that it took at most."""
    tracemalloc.start()
    try:
        return work(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def everything():
    """Tensors of each type, and lying in each way."""
    numbers = torch.arange(24.0).reshape(4, 6)
    found = {name: numbers.to(getattr(torch, name)) for name in TORCH_NAMES if hasattr(torch, name)}
    named = torch.nn.Parameter(torch.ones(2, 2))
    named.note = 1  # attributes are written with it
    tied = torch.rand(3, 3, generator=torch.Generator().manual_seed(1))
    return {
        **found,
        "turned": numbers.t(),
        "part": numbers[1:3, ::2],
        "spread": torch.ones(1).expand(3, 4),
        "one": torch.tensor(4),
        "none": torch.zeros(0, 3),
        "tied": tied,
        "again": tied,
        "parameter": torch.nn.Parameter(tied),
        "named": named,
        "signed": torch.ones(3, dtype=torch.complex64).conj().imag,
    }


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_tensors_are_those_of_torch(tmp_path, old, protocol):
    path, state = tmp_path / "x.bin", everything()
    if old:  # in which torch cannot read its newest types
        state = {
            name: tensor for name, tensor in state.items() if not name.startswith(("float8", "uint1", "uint3", "uint6"))
        }
    torch.save(state, path, pickle_protocol=protocol, _use_new_zipfile_serialization=not old)
    found = read_torch(path)
    expected = torch.load(path, weights_only=False)
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        assert found[name].shape == tuple(tensor.shape), name
        read = found[name].read()
        assert read.dtype == tensor.dtype, name
        assert torch.equal(read.float(), tensor.detach().float()), name


@pytest.mark.parametrize("name", [name for name in TORCH_NAMES if hasattr(torch, name)])
def test_every_type_is_read_in_the_older_format(tmp_path, name):
    """Those too that torch writes and cannot read: findings/torch-old-format-loses-new-types.sh."""
    tensor = torch.arange(6.0).reshape(2, 3).to(getattr(torch, name))
    torch.save({"a": tensor}, tmp_path / "x.bin", _use_new_zipfile_serialization=False)
    read = read_torch(tmp_path / "x.bin")["a"].read()
    assert read.dtype == tensor.dtype and torch.equal(read.float(), tensor.float())


def test_tied_tensors_share_their_numbers(tmp_path):
    torch.save(everything(), tmp_path / "x.bin")
    found = read_torch(tmp_path / "x.bin")
    share(tmp_path / "x.bin", found.values())
    assert found["tied"].read().data_ptr() == found["again"].read().data_ptr() == found["parameter"].read().data_ptr()


@pytest.mark.parametrize("old", [False, True])
def test_what_else_is_in_a_training_s_file_does_no_harm(tmp_path, old):
    network = torch.nn.Linear(3, 2)
    learner = torch.optim.AdamW(network.parameters())
    network(torch.ones(1, 3)).sum().backward()
    learner.step()
    state = OrderedDict((name, tensor.detach()) for name, tensor in network.named_parameters())
    beside = {"optimizer": learner.state_dict(), "rng": torch.get_rng_state(), "random": random.getstate()}
    beside |= {"numpy": np.random.RandomState(1).get_state(), "path": Path("a"), "set": {1, 2}, 3: torch.ones(1)}
    beside |= {"losses": tuple(map(float, range(20_000))), "when": datetime(2024, 1, 1), "bytes": bytearray(b"a")}
    beside |= {"named": argparse.Namespace(a=1), "scalar": np.float64(0.5), "array": np.ones(3), (1, 2): 3}
    value = {"state_dict": state, "global_step": 7, **beside}
    torch.save(value, tmp_path / "x.ckpt", _use_new_zipfile_serialization=not old)
    found = read_torch(tmp_path / "x.ckpt")
    assert (found["global_step"], found["losses"][-1]) == (7, 19_999.0)
    assert all(torch.equal(found["state_dict"][name].read(), tensor) for name, tensor in state.items())
    moments = found["optimizer"]["state"]["0"]["exp_avg"].read()
    assert torch.equal(moments, learner.state_dict()["state"][0]["exp_avg"])
    checkpoint = open_checkpoint(tmp_path / "x.ckpt")
    assert (checkpoint.global_step, checkpoint.shapes) == (7, {"weight": (2, 3), "bias": (2,)})


def test_an_archive_that_was_packed_anew(tmp_path):
    """Which torch.load reads otherwise with mmap: findings/torch-mmap-reads-compressed-bytes.sh."""
    path = tmp_path / "x.ckpt"
    torch.save({f"n{i}": torch.arange(1000.0) + i for i in range(30)}, path)
    changed(path, bytes, compress_type=zipfile.ZIP_DEFLATED)
    found = open_checkpoint(path)
    assert all(np.array_equal(found.raw(f"n{i}").view("f4"), np.arange(1000.0) + i) for i in range(30))


PLACE = b"\x80\x02Nr" + struct.pack("<I", 3_000_000) + b"."  # as if a value were the three millionth
PAIRS = b"\x80\x02K\1" + b"".join(b"q%ch%c\x86" % (i, i) for i in range(60)) + b"."
NUMBER = b"\x80\x02cbuiltins\nbytearray\nJ" + struct.pack("<i", 3_000_000) + b"\x85R."


@pytest.mark.parametrize("data", [PLACE, PAIRS, b"\x80\x02(K\1" + PAIRS[4:-1] + b"K\1d.", NUMBER])
@pytest.mark.parametrize("script", [False, True])
def test_a_pickle_takes_no_more_than_it_has(tmp_path, data, script):
    """A place in a table of one, pairs of pairs as a value and as a key, zeros by their number."""
    path = tmp_path / "x.pt"
    if script:
        torch.jit.script(torch.nn.Linear(2, 2)).save(str(path))
        changed(path, lambda _: data)
        with pytest.raises(UserError, match="not a TorchScript archive"):
            read_script(path)
    else:
        _, taken = peak(lambda: read_torch(an_archive(path, data)))
        assert taken < 1_000_000


def test_nothing_of_the_process_is_changed(tmp_path):
    """A pickle may give a state to whatever it names, and Python's sets it."""
    data = b"\x80\x02}X\1\0\0\0actorch._utils\n_rebuild_tensor_v2\n}X\4\0\0\0noteK\1sbs."
    read_torch(an_archive(tmp_path / "x.bin", data))
    assert not hasattr(torch._utils._rebuild_tensor_v2, "note")
    pickle.loads(data)
    assert torch._utils._rebuild_tensor_v2.note == 1
    del torch._utils._rebuild_tensor_v2.note


def test_a_name_from_elsewhere_is_told_and_cut(tmp_path):
    path = an_archive(tmp_path / "x.bin", b"\x80\x02c" + b"a" * 100_000 + b"\nb\n.")
    with pytest.raises(UserError, match="asks to call 'aaaa.*nothing was run") as caught:
        read_torch(path)
    assert len(str(caught.value)) < 500


def test_numbers_that_nobody_wrote(tmp_path):
    """The older kind lists its storages at the end; torch makes up the numbers of one that is not there."""
    path, plain = tmp_path / "x.bin", Machine()
    torch.save({"a": torch.ones(4)}, path, _use_new_zipfile_serialization=False)
    data = path.read_bytes()
    stream = io.BytesIO(data)
    for _ in range(3):
        plain.read(stream)
    Reader(path).read(stream)
    for rest in (b"\x80\x02].", data[stream.tell() : -1]):
        path.write_bytes(data[: stream.tell()] + rest)
        with pytest.raises(UserError, match="not a PyTorch file of plain tensors"):
            read_torch(path)


@pytest.mark.parametrize(
    ("read", "true", "said"),
    [
        (read_torch, b"K\7tq", b"K\10tq"),  # numbers of the storage
        (read_torch, b"K\1K\7\x86", b"K\1K\10\x86"),  # shape of the tensor
        (read_script, b"K\7tQ", b"K\10tQ"),
        (read_script, b"K\1K\7t", b"K\1K\10t"),
    ],
)
def test_tensors_outside_of_their_storage(tmp_path, read, true, said):
    path = tmp_path / "x.pt"
    if read is read_script:
        torch.jit.script(torch.nn.Linear(7, 1)).save(str(path))
    else:
        torch.save({"weight": torch.ones(1, 7)}, path)
    assert read(path)["weight"].shape == (1, 7)

    def change(data):
        assert true in data
        return data.replace(true, said)

    changed(path, change)
    with pytest.raises(UserError, match="not a PyTorch file of plain tensors|outside of its storage|not of the size"):
        read(path)


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
    before = read(path)["weight"].read()
    data[data.index(numbers) + 7] ^= 1  # an exponent
    path.write_bytes(data)
    after = torch.load(path)["weight"] if kind == "plain" else torch.jit.load(str(path)).state_dict()["weight"]
    assert int((after != before).sum()) == 1, "torch takes it for another number"
    with pytest.raises(UserError, match="data/0 in it is damaged; fetch it again"):
        read(path)["weight"].read()


def test_an_archive_that_becomes_far_larger(tmp_path, monkeypatch):
    path = tmp_path / "x.bin"
    torch.save({"a": torch.zeros(100_000)}, path)
    changed(path, bytes, compress_type=zipfile.ZIP_DEFLATED)
    assert read_torch(path)["a"].read().sum() == 0  # somebody packed it again
    with monkeypatch.context() as strict:
        strict.setattr(records, "FREE", 100_000)
        with pytest.raises(UserError, match="far larger than the file"):
            read_torch(path)
    changed(path, lambda _: b"\x80\x02](" + b"}" * 200_000 + b"e.", compress_type=zipfile.ZIP_DEFLATED)
    with pytest.raises(UserError, match="far larger than the file"):
        read_torch(path)


def test_small_tensors_that_are_large_together(tmp_path):
    path = tmp_path / "x.bin"
    torch.save({f"n{i}": torch.ones(1).expand(1 << 20) for i in range(20)}, path)
    with pytest.raises(UserError, match="says that it is larger than the file"):
        open_checkpoint(path)
    storage = torch.ones(1 << 20)
    for other in (storage[:], storage):  # of its own, and the very same under another name
        torch.save({f"n{i}": other for i in range(40)}, path)
        for read in (open_checkpoint, read_checkpoint, lambda path: list(read_tensors([path]))):
            with pytest.raises(UserError, match="says that it is larger than the file"):
                read(path)


def test_a_tensor_made_by_what_is_not_known_is_of_no_type_that_is_read(tmp_path):
    for made in (b"_rebuild_F32\n(t", b"_rebuild_sparse_tensor\n(X\3\0\0\0F32t"):
        path = an_archive(tmp_path / "x.bin", b"\x80\x02}X\1\0\0\0actorch._utils\n" + made + b"Rs.")
        with pytest.raises(UserError, match=r"a is of type (another|sparse) \(.*F32\), which is not read"):
            open_checkpoint(path)


def test_tensors_that_are_no_part_of_a_storage_say_what_they_are(tmp_path):
    found = torch.quantize_per_tensor(torch.ones(2, 2), 0.1, 0, torch.qint8)
    torch.save({"a": found, "b": torch.eye(2).to_sparse(), "c": torch.ones(2, device="meta")}, tmp_path / "x.ckpt")
    types = [value.type for value in read_torch(tmp_path / "x.ckpt").values()]
    assert types == ["qint8 (quantised)", "sparse (sparse_coo)", "float32 without numbers (meta)"]
    with pytest.raises(UserError, match=r"a is of type qint8 \(quantised\), which is not read"):
        open_checkpoint(tmp_path / "x.ckpt")


@pytest.mark.parametrize("old", [False, True])
def test_rare_ways_to_lie_are_read_as_torch_reads_them(tmp_path, old):
    empty = torch.zeros(0)
    state = {"a": empty, "b": empty, "c": torch.zeros(0, 3)[:, 1:], "d": torch.ones(2)}
    if not old and hasattr(torch, "uint16"):
        state["d"] = torch.arange(7, dtype=torch.uint8)[:4].view(torch.uint16)  # of a storage of seven bytes
    state |= {"silu": torch.nn.SiLU(), 3: torch.ones(1), ("a",): torch.ones(2), "words": [None, 1.5, b"x"]}
    torch.save(state, tmp_path / "x.bin", _use_new_zipfile_serialization=not old)
    found = read_torch(tmp_path / "x.bin")
    for name in "abcd":
        read = found[name].read()
        assert (read.dtype, read.shape) == (state[name].dtype, state[name].shape)
        assert torch.equal(read.float(), state[name].float())
    assert found["3"].shape == (1,)
    assert [value.shape for name, value in found.items() if name.startswith("tuple")] == [(2,)]
    torch.save({1: torch.ones(1), "1": torch.ones(1)}, tmp_path / "x.bin", _use_new_zipfile_serialization=not old)
    with pytest.raises(UserError, match="not a PyTorch file of plain tensors"):
        read_torch(tmp_path / "x.bin")


def test_files_without_checksums_are_read_as_often_as_one_likes(tmp_path):
    path = tmp_path / "x.ckpt"
    with without_checksums():
        torch.save({"a": torch.ones(5), "b": torch.arange(3.0)}, path)
    found = open_checkpoint(path)
    for _ in range(2):
        assert found.raw("a").view("f4").tolist() == [1.0] * 5 and found.raw("b").view("f4").tolist() == [0, 1, 2]
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        record = next(one for one in archive.infolist() if one.filename.endswith("data/0"))
    at = data.index(b"PK\1\2", data.index(b"PK\1\2") - 1)
    while data[at + 46 : at + 46 + len(record.filename)] != record.filename.encode():
        at = data.index(b"PK\1\2", at + 4)
    path.write_bytes(data[: at + 20] + struct.pack("<I", 8) + data[at + 24 :])  # as many bytes are packed, it says
    with pytest.raises(UserError, match="data/0 in it is (cut short|damaged)"):
        open_checkpoint(path).raw("a")


@contextmanager
def without_checksums():
    torch.serialization.set_crc32_options(False)
    try:
        yield
    finally:
        torch.serialization.set_crc32_options(True)


def test_another_byte_order_is_told(tmp_path):
    path = tmp_path / "x.bin"
    torch.save({"a": torch.ones(2)}, path)
    changed(path, lambda _: b"big", "byteorder")
    with pytest.raises(UserError, match="another byte order"):
        read_torch(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_ways_to_pack_are_refused(tmp_path, method):
    torch.save({"a": torch.ones(2)}, tmp_path / "x.bin")
    changed(tmp_path / "x.bin", bytes, compress_type=method)
    with pytest.raises(UserError, match="packed in a way of which PyTorch knows nothing"):
        read_torch(tmp_path / "x.bin")


NESTED = b"]" + b"".join(b"q%c](h%ch%ce" % (i, i, i) for i in range(40))  # 2 ** 40 values, were it written out


@pytest.mark.parametrize(
    "data",
    [
        NESTED + b"X\1\0\0\0a\x93.",  # a name
        b"ctorch._utils\n_rebuild_sparse_tensor\n(" + NESTED + b"tR.",
        b"Np%d\n." % (1 << 61),
        b"}(K\1Nh\0u.",
    ],
)
def test_what_is_no_text_is_not_made_one(tmp_path, data):
    path = an_archive(tmp_path / "x.bin", b"\x80\x02" + data)

    def read():
        with suppress(UserError):
            read_torch(path)

    assert peak(read)[1] < 1_000_000


def test_a_type_of_numbers_that_is_not_known_is_told(tmp_path):
    storage = b"(X\7\0\0\0storagectorch\nFloat3Storage\nX\1\0\0\0000X\3\0\0\0cpuK\4tQ"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\0K\4\x85K\1\x85\x89NtR"
    path = an_archive(tmp_path / "x.ckpt", b"\x80\x02}X\1\0\0\0a" + tensor + b"s.")
    with pytest.raises(UserError, match="a is of type float3, which is not read"):
        open_checkpoint(path)
