"""The archives that come along: unpacked once, whole or not at all."""

import os
import pwd
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from contest.disk.places import user_cache, user_home
from contest.disk.shipped import means_toy, obstacle, toy_archive, unpack
from contest.errors import UserError

FILES = {"unet/config.json": b"{}", "model.safetensors": bytes(range(256)) * 64, "LICENSE": b"free"}


def write_archive(path, files=FILES):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("unet/", b"")
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def add_tokenizer(folder):
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer" / "vocab.json").write_text("{}")


def nothing(folder):
    pass


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("JDART_CACHE", str(folder))
    return folder


@pytest.fixture
def archive(tmp_path):
    return write_archive(tmp_path / "toy.zip")


def test_unpacked_once_with_what_is_added(archive, cache):
    folder = unpack(archive, add_tokenizer)
    assert contents(folder) == {**FILES, "tokenizer/vocab.json": b"{}"}
    assert folder.parent == cache
    times = {path: path.stat().st_mtime_ns for path in cache.rglob("*")}
    assert unpack(archive, pytest.fail) == folder, "a second time nothing is made"
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*")} == times
    assert [path.name for path in cache.iterdir()] == [folder.name]


def test_another_archive_gets_another_folder(archive, cache):
    first = unpack(archive, nothing)
    write_archive(archive, {**FILES, "LICENSE": b"other"})
    second = unpack(archive, nothing)
    assert first != second
    assert (first / "LICENSE").read_bytes() == b"free"
    assert (second / "LICENSE").read_bytes() == b"other"


def test_stopped_halfway_leaves_no_folder(archive, cache):
    def stop(folder):
        add_tokenizer(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unpack(archive, stop)
    assert list(cache.iterdir()) == []
    assert contents(unpack(archive, nothing)) == FILES


def test_killed_halfway_does_no_harm(archive, cache):
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom contest.disk.shipped import unpack\n"
        "unpack(Path(sys.argv[1]), lambda folder: os.kill(os.getpid(), signal.SIGKILL))\n"
    )
    assert subprocess.run([sys.executable, "-c", code, archive], check=False).returncode == -9
    assert contents(unpack(archive, add_tokenizer)) == {**FILES, "tokenizer/vocab.json": b"{}"}


def test_another_process_may_be_faster(archive):
    """It makes the folder while this one is about to."""
    folders = []

    def be_late(draft):
        folders.append(unpack(archive, add_tokenizer))

    assert unpack(archive, be_late) == folders[0]
    assert (folders[0] / "tokenizer" / "vocab.json").exists(), "the faster one's folder stays"


def test_many_processes_at_once(archive, cache):
    code = (
        "import sys\nfrom pathlib import Path\nfrom contest.disk.shipped import unpack\nsys.stdin.readline()\n"
        "print(unpack(Path(sys.argv[1]), lambda folder: (folder / 'added').write_text('x')), end='')\n"
    )
    command = [sys.executable, "-c", code, archive]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(4)]
    for process in processes:
        process.stdin.write(b"\n")
        process.stdin.flush()
    folders = {process.communicate()[0].decode() for process in processes}
    assert [process.returncode for process in processes] == [0] * 4
    (folder,) = folders
    assert contents(Path(folder)) == {**FILES, "added": b"x"}
    assert [path.name for path in cache.iterdir()] == [Path(folder).name]


def test_missing_archive_says_what_makes_it(tmp_path):
    with pytest.raises(UserError, match=r"toy\.zip.*make toy"):
        unpack(tmp_path / "toy.zip", nothing)


@pytest.mark.parametrize(
    "damage", [lambda data: b"", lambda data: data[:-30], lambda data: data.replace(b"free", b"fred")]
)
def test_damaged_archive(archive, cache, damage):
    with zipfile.ZipFile(archive, "w") as stored:
        stored.writestr("LICENSE", b"free")
    archive.write_bytes(damage(archive.read_bytes()))
    with pytest.raises(UserError, match=r"toy\.zip: damaged.*make toy"):
        unpack(archive, nothing)
    assert not cache.exists()


def test_cache_that_cannot_be_written(archive, cache):
    cache.write_text("a file where the folder should be")
    with pytest.raises(UserError, match="JDART_CACHE"):
        unpack(archive, nothing)
    assert cache.read_text().startswith("a file")


def test_cache_that_may_only_be_read_serves_what_is_in_it(archive, cache, monkeypatch):
    folder = unpack(archive, nothing)
    monkeypatch.setattr("contest.disk.shipped._make", pytest.fail)
    cache.chmod(0o500)
    try:
        assert unpack(archive, nothing) == folder
    finally:
        cache.chmod(0o700)


@pytest.mark.parametrize("harm", [lambda path: path.unlink(), lambda path: path.write_bytes(b"short")])
def test_a_folder_that_lacks_something_is_not_used(archive, harm):
    folder = unpack(archive, nothing)
    harm(folder / "model.safetensors")
    with pytest.raises(UserError, match=r"model\.safetensors.*remove the folder"):
        unpack(archive, nothing)


def test_a_real_folder_of_that_name_goes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert means_toy("toy")
    assert means_toy(Path("toy"))
    assert not means_toy("./toy/")
    assert not means_toy("tiny")
    (tmp_path / "toy").mkdir()
    assert not means_toy("toy")


def test_archives_lie_in_their_packages():
    for package in ("jdart", "evaluator"):
        assert toy_archive(package).parent.name == package
        assert toy_archive(package).name == "toy.zip"


def test_place_of_the_cache(monkeypatch, tmp_path):
    assert user_cache() == tmp_path / "cache"
    monkeypatch.delenv("JDART_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", os.fspath(tmp_path / "xdg"))
    assert user_cache() == tmp_path / "xdg" / "jdart"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert user_cache() == Path.home() / ".cache" / "jdart"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # its specification: to be passed over
    assert user_cache() == Path.home() / ".cache" / "jdart"


def test_a_user_without_a_home_has_no_cache(archive, monkeypatch):
    """As in a container: no HOME, and no line in passwd."""

    def nobody(uid):
        raise KeyError(uid)

    monkeypatch.delenv("JDART_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    for home in (None, "relative", "~"):
        monkeypatch.setattr(pwd, "getpwuid", nobody)
        monkeypatch.delenv("HOME", raising=False)
        if home is not None:
            monkeypatch.setenv("HOME", home)
        assert user_home() is None, home
        assert user_cache() is None, home
        with pytest.raises(UserError, match="no home folder.*; set JDART_CACHE"):
            unpack(archive, nothing)
        assert obstacle(archive)[1].startswith("set JDART_CACHE")
