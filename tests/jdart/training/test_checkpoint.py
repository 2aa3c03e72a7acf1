"""Checkpoint files: whole, damaged, of something else."""

import numpy as np
import pytest

from contest.errors import UserError
from jdart.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from jdart.training.logs import StepRecord

RECORDS = (StepRecord(1, 0.1 + 0.2, 1e-4, 3.0), StepRecord(2, 1 / 3, 1e-4, 2.0, 0.7))


@pytest.fixture
def checkpoint(rng):
    tensors = {"a": rng.standard_normal((3, 2)).astype(np.float32), "b.mean": np.zeros(4, np.float32)}
    return Checkpoint("belongs", RECORDS, tensors)


def test_a_checkpoint_comes_back_bit_for_bit(checkpoint, tmp_path):
    save_checkpoint(tmp_path / "c.safetensors", checkpoint)
    again = load_checkpoint(tmp_path / "c.safetensors", "belongs")
    assert again.records == RECORDS
    assert {name: value.tobytes() for name, value in again.tensors.items()} == {
        name: value.tobytes() for name, value in checkpoint.tensors.items()
    }


def test_arrays_in_fortran_order_come_back_as_they_are(rng, tmp_path):
    array = rng.standard_normal((3, 2)).astype(np.float32)
    given = Checkpoint("belongs", RECORDS, {"a": np.asfortranarray(array), "transposed": array.T})
    save_checkpoint(tmp_path / "c.safetensors", given)
    again = load_checkpoint(tmp_path / "c.safetensors", "belongs").tensors
    np.testing.assert_array_equal(again["a"], array)
    np.testing.assert_array_equal(again["transposed"], array.T)


def test_none_is_none(tmp_path):
    assert load_checkpoint(tmp_path / "c.safetensors", "belongs") is None


def test_a_checkpoint_of_something_else_is_refused_and_left_alone(checkpoint, tmp_path):
    path = tmp_path / "c.safetensors"
    save_checkpoint(path, checkpoint)
    before = path.read_bytes()
    with pytest.raises(UserError, match=r"other pictures, settings or another base; .*move it away"):
        load_checkpoint(path, "other")
    assert path.read_bytes() == before


def test_every_kind_of_damage_is_noticed(checkpoint, tmp_path, rng):
    """Cut short anywhere, or a bit turned over anywhere: in the header, in the numbers, in the notes."""
    path = tmp_path / "c.safetensors"
    save_checkpoint(path, checkpoint)
    whole = path.read_bytes()
    cuts = [whole[:length] for length in (0, 4, 50, len(whole) - 1)]
    flips = []
    for place in rng.integers(0, len(whole), 200):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        flips.append(bytes(damaged))
    for damaged in [*cuts, *flips, b"not a checkpoint"]:
        path.write_bytes(damaged)
        try:
            found = load_checkpoint(path, "belongs")
        except UserError as error:
            assert "move it away" in str(error)
        else:
            assert found.records == RECORDS
            assert all((found.tensors[name] == value).all() for name, value in checkpoint.tensors.items())


def test_a_safetensors_file_that_is_no_checkpoint(tmp_path):
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(3, np.float32)}, tmp_path / "c.safetensors")
    with pytest.raises(UserError, match="damaged"):
        load_checkpoint(tmp_path / "c.safetensors", "belongs")


def test_equal_training_gives_equal_bytes(checkpoint, tmp_path):
    """The library alone writes the notes in another order each time."""
    files = set()
    for _ in range(8):
        save_checkpoint(tmp_path / "c.safetensors", checkpoint)
        files.add((tmp_path / "c.safetensors").read_bytes())
    assert len(files) == 1
