"""References that are not looked at are said: misuse where none can be, a warning for each that cannot."""

import zlib

import pytest
from click.testing import CliRunner
from raw_png import GREY, chunk, encode
from tiny_entry import CONTEST, png, write_files

from contest.entry.signatures import LFS_CURE
from contest.references import require_references
from submission import UserError, build, check, contest_from_references, verify
from submission.cli import main
from submission.rules.references import look_at

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"7" * 64 + b"\nsize 7000\n"
LARGE = png()[:33] + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 21))) + png()[33:]
PROMPTS = {"00": b'{"0": "Dolphin", "1": "Ice cream"}', "01": b'{"0": "Sun"}'}


@pytest.fixture
def references(tmp_path):
    files = {f"{style}/images/boat.png": png(size=(9, 8), seed=90) for style in PROMPTS}
    return write_files(
        tmp_path / "refs", {**files, **{f"{style}/prompt.json": data for style, data in PROMPTS.items()}}
    )


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("nowhere", "no such folder; give the one with <style>/images"),
        (".", "it lies too high, give {tmp}/refs"),
        ("refs/00", "it lies too low, give {tmp}/refs"),
        ("refs/00/images", "it lies too low, give {tmp}/refs"),
        ("entry", "has no references of the styles 00, 01; give the folder"),
        ("pack.npz", "a pack of references, which holds no pictures"),
        ("tiny.yaml", "a file, not a folder"),
    ],
)
def test_a_folder_without_references_is_misuse(place, said, entry, references, tmp_path):
    contest = tmp_path / "tiny.yaml"
    contest.write_text('name: tiny\nstyles: {"00": [Dolphin, Ice cream], "01": [Sun]}\n')
    (tmp_path / "pack.npz").write_bytes(b"")
    build(entry, CONTEST, tmp_path / "good.zip")
    for command in (["check", entry], ["build", entry, "-o", tmp_path / "a.zip"], ["verify", tmp_path / "good.zip"]):
        call = [*command, "--contest", contest, "--references", tmp_path / place]
        result = CliRunner().invoke(main, [str(one) for one in call])
        assert (result.exit_code, said.format(tmp=tmp_path) in result.output) == (2, True), result.output
        assert result.output.count("\n") == 1
    assert not (tmp_path / "a.zip").exists()


@pytest.mark.parametrize("place", [".", "refs/00", "refs/00/images", "pack.npz"])
def test_the_same_where_they_are_the_contest(place, references, tmp_path):
    (tmp_path / "pack.npz").write_bytes(b"")
    with pytest.raises(UserError, match="refs$" if place != "pack.npz" else "a file; give the folder"):
        contest_from_references(tmp_path / place)


def test_a_story_has_none(references):
    with pytest.raises(UserError, match="leave --references out"):
        require_references(references, [])


@pytest.mark.parametrize(
    ("name", "data", "said", "cure"),
    [
        ("car.png", POINTER, "car.png, which is a Git LFS pointer", LFS_CURE),
        ("car.png", b"", "car.png, which is empty", "put the picture there again"),
        ("car.png", png()[:60], "car.png, which is cut short or damaged", "put the picture there again"),
        ("car.heic", b"\0\0\0\x18ftypheic\0\0\0\0", "car.heic, which is a HEIC", "put the picture there again"),
        ("car.png", LARGE, "car.png, which is a PNG with a text or profile of more", "nothing else is wrong with it"),
        ("more/car.png", png(), "more, which is a folder", "put its pictures beside it"),
    ],
)
def test_each_that_cannot_be_read_is_named(name, data, said, cure, entry, references):
    write_files(references / "00" / "images", {name: data})
    (one,) = check(entry, CONTEST, references)
    assert (one.code, one.path, one.severity) == ("S215", "00/", "warning")
    assert said in one.message and one.hint.startswith(cure)


def test_a_link_that_leads_nowhere_is_no_reference(entry, references):
    (references / "00" / "images" / "car.png").symlink_to("gone.png")
    (one,) = check(entry, CONTEST, references)
    assert "car.png, which is a link that leads nowhere" in one.message and one.hint.startswith(
        "fetch what it links to"
    )


def test_notes_and_system_files_beside_them_are_no_pictures(entry, references):
    write_files(references / "00" / "images", {"boat.txt": b"a boat", ".DS_Store": b"x", "Thumbs.db": b"x"})
    assert check(entry, CONTEST, references) == []


@pytest.mark.parametrize("gone", ["01/images/boat.png", "01"])
def test_a_style_without_any_is_said(gone, entry, references, tmp_path):
    (references / gone).rename(tmp_path / "gone")
    (one,) = check(entry, CONTEST, references)
    assert (one.code, one.path) == ("S215", "01/")
    assert f"there is no picture in {references / '01' / 'images'}" in one.message
    build(entry, CONTEST, tmp_path / "a.zip", references=references)
    assert verify(tmp_path / "a.zip", CONTEST, references) == [one]


def test_a_run_whose_references_have_moved_says_so(tmp_path):
    hashes, (one,) = look_at(tmp_path / "gone", ["00"])
    assert (hashes, one.code, one.path) == ({}, "S215", ".")
    assert f"{tmp_path / 'gone'} is not there" in one.message


def test_deep_references_are_seen_by_their_true_values(tmp_path):
    """A picture whose values Pillow would clip to white looks like itself in eight bits."""
    import numpy as np

    samples = np.random.default_rng(0).integers(0, 256, (16, 16, 1))
    write_files(tmp_path, {"00/images/deep.png": encode(samples * 257, GREY, 16)})
    write_files(tmp_path, {"00/images/eight.png": encode(samples, GREY, 8)})
    hashes, findings = look_at(tmp_path, ["00"])
    assert findings == []
    assert hashes["00"]["deep.png"] == hashes["00"]["eight.png"] != 0
