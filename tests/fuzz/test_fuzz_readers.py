"""No reader crashes, hangs or runs what a file says: good files changed at random. `make fuzz` goes on for longer."""

import io
import os
import pickle
import signal
import tempfile
import warnings
from pathlib import Path

import pytest
import torch
from fuzz_targets import Target, run, targets
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contest.errors import UserError

TARGETS = targets()
SECONDS = 20  # of a processor, which a busy machine does not change, for one file; the slowest takes a fraction of one


@st.composite
def changed(draw, target):
    """A seed with up to six places cut out, overwritten, doubled, or filled with what means something there."""
    data = bytearray(draw(st.sampled_from(target.seeds)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data)))
        count = draw(st.sampled_from([0, 0, 1, 1, 2, 4, 8, 30]))
        pieces = [st.binary(max_size=8), st.just(bytes(data[at : at + 20]))]
        data[at : at + count] = draw(st.one_of(st.sampled_from(target.pieces), *pieces))
    return bytes(data)


def too_slow(signum, frame):
    raise TimeoutError(f"took more than {SECONDS} seconds")


@pytest.fixture(autouse=True)
def limited(monkeypatch, tmp_path):
    monkeypatch.setenv("JDART_CACHE", str(tmp_path / "cache"))
    before = signal.signal(signal.SIGPROF, too_slow)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's and torch's, about what is odd in a file
        yield
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.signal(signal.SIGPROF, before)


@pytest.mark.parametrize("name", TARGETS)
def test_the_files_to_begin_from_are_good(name, tmp_path):
    for number, seed in enumerate(TARGETS[name].seeds):
        try:
            TARGETS[name].read(place(tmp_path / str(number), TARGETS[name], seed))
        except Exception as error:
            raise AssertionError(f"seed {number} of {name} is refused") from error


def place(folder, target, data):
    for name, content in (*target.beside, (target.name, target.wrap(data))):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder / target.name


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.data())
@settings(max_examples=40, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_changed_file_is_read_or_refused_in_one_line(name, data):
    made = data.draw(changed(TARGETS[name]))
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    with tempfile.TemporaryDirectory() as folder:
        run(TARGETS[name], Path(folder), made)


class Runs:
    """What a pickle can ask for when it is read: a program."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("name", ["lora-bin", "network-bin", "network-script", "one-file-ckpt", "pack"])
def test_no_code_of_a_file_is_run(name, tmp_path):
    mark = tmp_path / "ran"
    for data in (pickle.dumps(Runs(mark)), pickle.dumps({"a": Runs(mark)}, protocol=2), saved({"a": Runs(mark)})):
        with pytest.raises(UserError):
            TARGETS[name].read(place(tmp_path / "files", TARGETS[name], data))
    assert not mark.exists()


def saved(value):
    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


def test_a_program_or_a_file_elsewhere_would_be_seen(tmp_path):
    for read in (lambda path: os.system("true"), lambda path: (tmp_path / "x").write_text("")):
        with pytest.raises(AssertionError, match="reading a file"):
            run(Target("f", read, ()), tmp_path / "in", b"")
