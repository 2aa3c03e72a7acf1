"""Two commands in one folder: the second is told, until the first has ended, however that was."""

import os
import subprocess
import sys

import pytest

from contest.disk.alone import alone_in
from contest.errors import UserError

HOLD = """
import sys
from pathlib import Path
from contest.disk.alone import alone_in
with alone_in(Path(sys.argv[1]), "jdart"):
    print(1, flush=True)
    sys.stdin.read()
"""


def test_the_second_is_told_until_the_first_has_ended(tmp_path):
    place = tmp_path / "new" / "out"
    command = [sys.executable, "-c", HOLD, place]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdout.readline() == b"1\n"
        for _ in range(2):  # a refusal lets go of nothing that is the other's
            said = "out: another jdart is at work in it; wait for its end, or choose"
            with pytest.raises(UserError, match=said), alone_in(place, "jdart"):
                raise AssertionError
        first.kill()
    with alone_in(place, "jdart"):
        assert os.listdir(place) == []
        (place / "made").touch()
    with alone_in(place, "jdart"):
        assert os.listdir(place) == ["made"]


def test_a_folder_in_which_nothing_was_made_does_not_stay(tmp_path):
    with pytest.raises(UserError, match="no good"), alone_in(tmp_path / "new" / "out", "jdart"):
        raise UserError("no good")
    assert os.listdir(tmp_path) == []


def test_a_disk_without_locks_is_told_and_no_obstacle(tmp_path, monkeypatch, caplog):
    import fcntl

    def refuse(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with alone_in(tmp_path, "jdart"):
        assert "cannot be locked (No locks available); let no second jdart work in it" in caplog.text
