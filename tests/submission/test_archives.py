"""Strangers' archives: everything that is wrong with them is found and named, and nothing else happens."""

import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from hostile_zips import CASES, END, GOOD, SUN, archive, write_bomb, write_holes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_entry import CONTEST, good_files, png, write_files

from contest.definition import Limits
from contest.entry.contents import BadItem, open_contents
from contest.findings import CHECKS
from submission import Contest, UserError, build, check, verify
from submission.cli import main

ROOT = Path(__file__).parents[2]
SECONDS = 20  # for one archive; the slowest takes a fraction of one


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder to stand in, so that whatever is written outside the archive is seen."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    before = signal.signal(signal.SIGALRM, too_slow)
    signal.alarm(SECONDS)
    yield tmp_path
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def too_slow(signum, frame):
    raise TimeoutError(f"took more than {SECONDS} seconds")


def codes(findings):
    return sorted({one.code for one in findings})


def tree(folder):
    return sorted((str(path), path.is_file() and path.stat().st_size) for path in folder.rglob("*"))


@pytest.mark.parametrize("name", CASES)
def test_hostile_archive(name, place):
    make, expected = CASES[name]
    path = place / "a.zip"
    path.write_bytes(make())
    before = tree(place)
    findings = check(path, CONTEST)
    assert codes(findings) == expected
    assert all(one.path and one.message and "\n" not in str(one) for one in findings)
    assert set(expected) <= set(codes(verify(path, CONTEST)))
    result = build(path, CONTEST, place / "out" / "b.zip")
    assert (result.state, codes(result.findings)) == ("refused", expected)
    assert tree(place) == before


@pytest.mark.parametrize("name", GOOD)
def test_unusual_but_sound_archive(name, place):
    path = place / "a.zip"
    path.write_bytes(GOOD[name]())
    assert check(path, CONTEST) == []
    with open_contents(path) as listing, zipfile.ZipFile(path) as other:
        assert {item.path: item.read() for item in listing.items if item.kind == "file"} == good_files()
        assert sorted(info.filename for info in other.infolist() if not info.is_dir()) == sorted(good_files())


def test_unusual_archive_is_built_like_the_folder(place):
    folder = write_files(place / "entry", good_files())
    build(folder, CONTEST, place / "folder.zip")
    for name in GOOD:
        (place / "a.zip").write_bytes(GOOD[name]())
        build(place / "a.zip", CONTEST, place / "b.zip", force=True)
        assert (place / "b.zip").read_bytes() == (place / "folder.zip").read_bytes()


@pytest.mark.parametrize(
    "name", ["parent", "terminal escape", "not UTF-8", "two archives", "end record cut", "password"]
)
def test_command_ends_with_1_and_steers_no_terminal(name, place):
    (place / "a.zip").write_bytes(CASES[name][0]())
    contest = place / "tiny.yaml"
    contest.write_text('name: tiny\nstyles: {"00": [Dolphin, Ice cream], "01": [Sun]}\n')
    for command in ("check", "verify"):
        result = CliRunner().invoke(main, [command, str(place / "a.zip"), "--contest", str(contest)])
        assert (result.exit_code, CASES[name][1][0] in result.stdout) == (1, True), result.output
        assert result.stdout.replace("\n", "").isprintable()


@pytest.mark.skipif(shutil.which("zip") is None, reason="needs zip")
def test_what_zip_writes_is_sound(place):
    folder = write_files(place / "entry", good_files())
    subprocess.run(["zip", "-qr", "../a.zip", "."], cwd=folder, check=True)
    piped = subprocess.run(["zip", "-qr", "-", "."], cwd=folder, check=True, capture_output=True).stdout
    (place / "b.zip").write_bytes(piped)
    assert check(place / "a.zip", CONTEST) == check(place / "b.zip", CONTEST) == []


def test_every_code_has_a_case():
    assert {code for _, expected in CASES.values() for code in expected} >= {
        code for code in CHECKS if "S4" < code < "S5"
    }


def test_archive_larger_than_the_contest_allows(place):
    path = place / "a.zip"
    path.write_bytes(archive())
    for limits in (Limits(archive_bytes=100), Limits(total_bytes=100), Limits(files=2)):
        assert codes(check(path, Contest("tiny", CONTEST.styles, limits=limits))) == ["S409"]
    with open(path, "wb") as stream:  # a directory of 1 GB, whose names would be kept in memory
        stream.seek(10**9)
        stream.write(END.pack(b"PK\5\6", 0, 0, 9, 9, 10**9, 0, 0))
    assert codes(check(path, CONTEST)) == ["S409"]


@pytest.mark.parametrize("name", ["stored", "deflated", "zip64", "streamed", "comment"])
def test_cut_at_any_byte(name, place):
    """Nothing that is left of an archive passes for one; its first bytes alone pass for no archive at all."""
    whole_one = GOOD[name]()
    path = place / "a.zip"
    for end in range(len(whole_one)):
        path.write_bytes(whole_one[:end])
        try:
            assert codes(check(path, CONTEST)) == ["S401"], end
        except UserError as error:
            assert end < 4
            assert "neither a folder nor a zip" in str(error)


@pytest.mark.parametrize("data", [b"", b"PK", b"plain text", b"\x1f\x8b\x08" + bytes(30), b"%PDF-1.7"])
def test_what_is_no_zip_is_misuse(data, place):
    (place / "a.zip").write_bytes(data)
    with pytest.raises(UserError, match=r"a\.zip: neither a folder nor a zip archive"):
        check(place / "a.zip", CONTEST)


def test_pipe_is_not_opened(place):
    os.mkfifo(place / "a.zip")  # opening it would hang
    with pytest.raises(UserError, match="neither a folder nor a zip"):
        check(place / "a.zip", CONTEST)


def test_one_flipped_bit_anywhere_is_found_by_verify(place):
    """In an archive that build wrote: each byte, one bit of it, a different one for each byte."""
    contest = Contest("t", {"0": ("A",)})
    path = place / "a.zip"
    build(write_files(place / "entry", {"0/A.png": png(size=(2, 2))}), contest, path)
    data = bytearray(path.read_bytes())
    assert verify(path, contest) == []
    for at in range(len(data)):
        data[at] ^= 1 << at % 8
        path.write_bytes(data)
        assert verify(path, contest), at
        data[at] ^= 1 << at % 8


def test_reading_what_has_a_finding_is_refused(place):
    path = place / "a.zip"
    path.write_bytes(CASES["password"][0]())
    with open_contents(path) as listing:
        items = {item.path: item for item in listing.items}
        with pytest.raises(BadItem, match="encrypted") as caught:
            items[SUN].read()
        assert caught.value.code == "S405"
        assert items["00/Dolphin.png"].read() == good_files()["00/Dolphin.png"]


def test_file_of_a_folder_that_cannot_be_read_is_a_finding(entry, monkeypatch):
    (entry / SUN).unlink()
    (entry / SUN).symlink_to("/proc/self/mem")  # a file whose first byte cannot be read
    assert [one.code for one in check(entry, CONTEST)] == ["S203"]


# the peak since exec: getrusage would count the memory of the tests' own process, from which this one is forked
MEASURE = """
import re, sys
from submission import Contest, check, verify
contest = Contest("tiny", {"00": ("Dolphin", "Ice cream"), "01": ("Sun",)})
codes = sorted({one.code for use in (check, verify) for one in use(sys.argv[1], contest)})
print(int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read()).group(1)) >> 10, *codes)
"""


@pytest.mark.parametrize(
    ("maker", "expected"),
    [
        (lambda path: write_bomb(path, 60 << 20, 2 << 30), {"S412"}),
        (lambda path: write_holes(path, [SUN], 2 * 10**9), {"S207"}),
        (lambda path: write_holes(path, good_files(), 60 << 20), {"S201"}),
        (lambda path: write_holes(path, [f"00/{n:06}{'a' * 40}.png" for n in range(10_000)], 0), {"S103"}),
    ],
    ids=["bomb that lies about its size", "2 GB picture", "180 MB of pictures", "10,000 entries"],
)
def test_memory_stays_bounded(maker, expected, place):
    """Under 300 MB, of which Python with NumPy and Pillow takes some 60, measured in a process of its own."""
    path = place / "a.zip"
    maker(path)
    command = [sys.executable, "-c", MEASURE, path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    peak, *found = done.stdout.split()
    assert int(peak) < 300
    assert expected <= set(found)


@given(st.data())
@settings(max_examples=150, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def test_mutated_archives_are_findings_or_misuse(place, data):
    mutate(place / "a.zip", data.draw)


def mutate(path, draw):
    """Draw an archive, change it in up to six places, and read everything in it that can be read."""
    made = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(0, len(made) - 1)))
        count = draw(st.sampled_from([0, 0, 1, 1, 2, 4, 8, 30]))
        made[at : at + count] = draw(st.one_of(st.sampled_from(PIECES), st.binary(max_size=8)))
    path.write_bytes(made)
    try:
        with open_contents(path) as listing:
            paths = [item.path for item in listing.items]
            assert paths == sorted(paths)
            for item in listing.items:
                assert not item.path.startswith("/")
                assert {"..", ".", ""}.isdisjoint(item.path.split("/"))
                try:
                    assert len(item.read()) == item.size
                except BadItem as error:
                    assert error.code in CHECKS
        if not check(path, CONTEST):
            with zipfile.ZipFile(path) as other:  # what is good for us is the same to another reader
                assert other.testzip() is None
                assert {name for name in other.namelist() if name[-1] != "/"} == set(good_files())
        assert verify(path, CONTEST)
    except UserError as error:
        assert "\n" not in str(error)


SEEDS = [make() for make in GOOD.values()] + [make() for make, _ in CASES.values() if len(make()) < 5000]
PIECES = [b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6", b"PK\6\7", b"PK\7\x08", b"\0", b"\xff", b"\xff" * 2]
PIECES += [b"\xff" * 4, b"\xff" * 8, bytes(4), bytes(8), b"\1\0", b"../", b"/", b"\x75\x70", archive()]
