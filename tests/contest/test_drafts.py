"""What a killed writer left half written is taken over by the next one; what another is at work on is left alone."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from contest.disk.drafts import draft_folder
from contest.disk.files import atomic_write, link_file, write_bytes

KILLED = """
import os, signal, sys
from pathlib import Path
from contest.disk.drafts import draft_folder
from contest.disk.files import atomic_write
if sys.argv[2] == "file":
    with atomic_write(sys.argv[1]) as stream:
        stream.write(b"half")
        stream.flush()
        os.kill(os.getpid(), signal.SIGKILL)
with draft_folder(Path(sys.argv[1])) as work:
    (work / "new").mkdir()
    (work / "new" / "half").touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(path, kind):
    subprocess.run([sys.executable, "-c", KILLED, path, kind], check=False)
    (left,) = (name for name in os.listdir(path.parent) if name.startswith("."))
    assert left.endswith(".part")


def test_the_next_writer_of_a_file_takes_over_what_a_killed_one_left(tmp_path):
    path = tmp_path / ("long name " * 9 + ".png")
    killed(path, "file")
    write_bytes(path, b"w")
    assert os.listdir(tmp_path) == [path.name]
    assert path.read_bytes() == b"w"
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask


def test_drafts_elsewhere_of_files_of_one_name_are_apart(tmp_path):
    for style in ("00", "01"):
        with atomic_write(tmp_path / style / "Dog.png", draft=tmp_path) as stream:
            stream.write(style.encode())
            with atomic_write(tmp_path / "02" / "Dog.png", draft=tmp_path) as other:
                other.write(b"02")
                assert len([name for name in os.listdir(tmp_path) if name.endswith(".part")]) == 2
    assert sorted(os.listdir(tmp_path)) == ["00", "01", "02"]
    assert [(tmp_path / style / "Dog.png").read_text() for style in ("00", "01", "02")] == ["00", "01", "02"]


def test_two_who_write_one_file_each_write_a_whole_one(tmp_path):
    path = tmp_path / "x"
    with atomic_write(path) as one:
        one.write(b"1" * 100_000)
        with atomic_write(path) as other:
            other.write(b"2")
        assert path.read_bytes() == b"2"
        one.write(b"1")
    assert path.read_bytes() == b"1" * 100_001
    assert os.listdir(tmp_path) == ["x"]


def test_without_locks_every_draft_has_a_name_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr("contest.disk.drafts.fcntl", None)
    with atomic_write(tmp_path / "x") as one, atomic_write(tmp_path / "x") as other:
        one.write(b"1")
        other.write(b"22")
    assert os.listdir(tmp_path) == ["x"]
    assert (tmp_path / "x").read_bytes() == b"1"  # the last to be finished
    with draft_folder(tmp_path / "y") as work, draft_folder(tmp_path / "y") as second:
        assert work != second
    assert os.listdir(tmp_path) == ["x"]


def test_a_link_in_place_of_a_draft_is_not_followed(tmp_path):
    with atomic_write(tmp_path / "x"):
        (name,) = os.listdir(tmp_path)
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / name).symlink_to("theirs")
    write_bytes(tmp_path / "x", b"ours")
    assert (tmp_path / "theirs").read_text() == "theirs"
    assert (tmp_path / "x").read_bytes() == b"ours"
    assert not (tmp_path / "x").is_symlink()


def test_the_next_maker_of_a_folder_takes_over_what_a_killed_one_left(tmp_path):
    path = tmp_path / "site"
    killed(path, "folder")
    with draft_folder(path) as work:
        assert os.listdir(work) == []
        assert work.stat().st_mode & 0o777 == 0o700
        with draft_folder(path) as other:  # while the first is at work
            assert other != work
        (work / "new").mkdir()
        (work / "new").rename(path)
    assert os.listdir(tmp_path) == ["site"]


def test_a_folder_with_what_is_to_be_kept_stays(tmp_path):
    with draft_folder(tmp_path / "site", keep="mark") as work:
        (work / "mark").touch()
        (work / "theirs").write_text("theirs")
    with draft_folder(tmp_path / "site", keep="mark") as other:
        assert other != work
        assert os.listdir(other) == []
    assert (work / "theirs").read_text() == "theirs"
    assert os.listdir(tmp_path) == [work.name]


def test_a_second_name_of_the_same_file_leaves_no_third(tmp_path):
    (tmp_path / "a").write_bytes(b"a")
    for _ in range(2):
        link_file(tmp_path / "b", tmp_path / "a")
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]
    assert (tmp_path / "a").stat().st_nlink == 2


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_disk_that_is_full_names_the_file_and_leaves_nothing(code, tmp_path, monkeypatch):
    def full(handle):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=os.strerror(code)) as caught:
        write_bytes(tmp_path / "x", b"1")
    assert (caught.value.filename, caught.value.errno) == (str(tmp_path / "x"), code)
    assert os.listdir(tmp_path) == []


def test_a_file_larger_than_the_limit_leaves_nothing(tmp_path):
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000));"
        "from contest.disk.files import write_bytes; write_bytes(sys.argv[1], bytes(5000))"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "x"], capture_output=True, text=True, check=False)
    assert f"File too large: '{tmp_path / 'x'}'" in done.stderr
    assert os.listdir(tmp_path) == []
    write_bytes(tmp_path / "x", bytes(5000))
    assert Path(tmp_path / "x").stat().st_size == 5000
