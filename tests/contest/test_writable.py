import errno
import os
import tempfile

import pytest

from contest.disk.files import write_bytes
from contest.disk.writable import require_file, require_folder
from contest.errors import UserError


def everything(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_place_that_will_do_is_left_as_it_was(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_text("x")
    require_folder(tmp_path / "there")
    require_folder(tmp_path / "new" / "deep" / "er")
    require_file(tmp_path / "there" / "file")
    require_file(tmp_path / "other" / "file")
    assert everything(tmp_path) == ["there", "there/file"]


@pytest.mark.parametrize("place", ["file", "file/below", "file/far/below", "dangling", "dangling/below"])
def test_what_is_no_folder_is_said(tmp_path, place):
    (tmp_path / "file").write_text("x")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere" / "at" / "all")
    before = everything(tmp_path)
    with pytest.raises(UserError) as caught:
        require_folder(tmp_path / place)
    assert str(caught.value).startswith(f"{tmp_path / place}: ") and "choose another place" in str(caught.value)
    assert everything(tmp_path) == before


def test_a_folder_in_the_place_of_a_file_is_said(tmp_path):
    with pytest.raises(UserError, match="is a folder; name a file"):
        require_file(tmp_path)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_a_folder_that_takes_no_file_is_said_and_not_left_behind(tmp_path, monkeypatch, code):
    def refuse(*_, **__):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    with pytest.raises(UserError, match=f"cannot be written .{os.strerror(code)}.; choose another place"):
        require_folder(tmp_path / "new" / "deep")
    assert everything(tmp_path) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_read_only_folder_as_its_user_meets_it(tmp_path):
    (tmp_path / "shut").mkdir(mode=0o555)
    for place in (tmp_path / "shut", tmp_path / "shut" / "new" / "deep"):
        with pytest.raises(UserError, match="cannot be written"):
            require_folder(place)


def test_a_file_that_cannot_be_written_is_named_and_not_its_draft(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / ".out.7.part"))

    monkeypatch.setattr("contest.disk.files.open_draft", refuse)
    with pytest.raises(PermissionError) as caught:
        write_bytes(tmp_path / "out", b"")
    assert caught.value.filename == str(tmp_path / "out")
