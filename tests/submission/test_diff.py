"""jdart-submit diff: what changed between two entries, against NumPy on the pictures themselves."""

import io
import json
import shutil
import zipfile

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from tiny_entry import CONTEST, NAMES, good_files, png, write_files
from tiny_run import run_folder

from submission import UserError, build
from submission.cli import main
from submission.diff.compare import Change, compare_entries, is_same, open_pairs
from submission.diff.formats import diff_lines

DOLPHIN, ICE, SUN = NAMES


def call(*arguments):
    result = CliRunner().invoke(main, ["diff", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def changes_of(a, b):
    with open_pairs(a, b) as pairs:
        return compare_entries(pairs)


def decode(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(float)


@pytest.fixture
def other(tmp_path):
    """Writes a second entry with some files changed; None removes one."""

    def write(**changes):
        files = {**good_files(), **{NAMES[int(key[1])]: data for key, data in changes.items()}}
        return write_files(tmp_path / "other", {name: data for name, data in files.items() if data is not None})

    return write


def test_same_entry_as_folder_run_and_archive(entry, other, tmp_path):
    build(entry, CONTEST, tmp_path / "a.zip")
    run = run_folder(tmp_path, other())
    for a, b in [(entry, tmp_path / "a.zip"), (tmp_path / "a.zip", run), (run, entry)]:
        assert changes_of(a, b) == [Change(name, "same", 0.0) for name in NAMES]
    result = call(entry, tmp_path / "a.zip")
    assert (result.exit_code, result.stdout) == (0, f"{entry} -> {tmp_path / 'a.zip'}: 3 the same\n")


def test_an_entry_in_a_folder_of_its_own_is_told_so(entry, tmp_path):
    """Every picture is added and removed, and a line says why."""
    wrapped = write_files(tmp_path / "w", {f"mine/{name}": data for name, data in good_files().items()})
    deep = write_files(tmp_path / "d", {f"my/best/{name}": data for name, data in good_files().items()})
    shutil.make_archive(str(tmp_path / "w"), "zip", wrapped)
    said = f"{wrapped}: its pictures lie deeper, in mine/; compare {wrapped / 'mine'}\n"
    for order in ((entry, wrapped), (wrapped, entry)):
        result = call(*order)
        assert (result.exit_code, result.stderr) == (1, said)
    assert call(entry, tmp_path / "w.zip").stderr.endswith("; zip what is inside, not the folder itself\n")
    assert len(call(wrapped, deep).stderr.splitlines()) == 2
    assert call(entry, wrapped / "mine").stderr == ""


def test_other_pictures_are_no_wrapped_entry(entry, tmp_path):
    assert call(entry, write_files(tmp_path / "w", {"mine/02/Cat.png": png()})).stderr == ""


def test_every_state(entry, other):
    b = other(_0=png(seed=50), _1=png(seed=1, compress_level=0), _2=None)
    write_files(b, {"01/Moon.png": png()})
    changes = {change.path: change for change in changes_of(entry, b)}
    assert {path: change.state for path, change in changes.items()} == {
        DOLPHIN: "changed",
        ICE: "repacked",
        SUN: "removed",
        "01/Moon.png": "added",
    }
    expected = np.abs(decode(png(seed=0)) - decode(png(seed=50))).mean()
    assert changes[DOLPHIN].difference == pytest.approx(expected, rel=1e-12)
    assert changes[ICE].difference == 0
    assert (b / ICE).read_bytes() != (entry / ICE).read_bytes()


@pytest.mark.parametrize(
    ("data", "note"),
    [
        (png(size=(5, 7)), "6x4 -> 5x7"),
        (png(seed=2)[:60], "is not a readable PNG"),
        (b"", "is not a readable PNG"),
        (png(size=(4097, 1)), "is 4097x1, too large to compare"),
    ],
)
def test_pictures_without_a_difference_to_measure(entry, other, tmp_path, data, note):
    b = other(_2=data)
    assert changes_of(entry, b)[2] == Change(SUN, "changed", None, note)
    assert call(entry, b, "--plot", tmp_path / "out.png").exit_code == 1


def test_alpha_alone_is_a_change(entry, other):
    picture = Image.open(io.BytesIO(png(seed=2))).convert("RGBA")
    picture.putpixel((0, 0), (*picture.getpixel((0, 0))[:3], 7))
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    assert changes_of(entry, other(_2=stream.getvalue()))[2] == Change(SUN, "changed", 0.0, "in transparency only")


def test_a_picture_saved_anew_is_no_difference(entry, other):
    result = call(entry, other(_0=png(seed=0, compress_level=0)))
    assert (result.exit_code, "1 the same picture in another file, 2 the same" in result.stdout) == (0, True)


def test_other_files_are_compared_by_bytes(entry, other):
    b = other()
    write_files(entry, {"prompts.csv": b"a,b", "manifest.json": b"{}", "note.jpg": png()})
    write_files(b, {"prompts.csv": b"a,c", "note.jpg": png()})
    changes = {change.path: change for change in changes_of(entry, b)}
    assert changes["prompts.csv"] == Change("prompts.csv", "changed", None, "not a picture")
    assert changes["note.jpg"] == Change("note.jpg", "same", None)
    assert "manifest.json" not in changes


def test_json_has_all_and_counts_by_style(entry, other):
    b = other(_0=png(seed=50), _2=None)
    value = json.loads(call(entry, b, "--format", "json").stdout)
    difference = np.abs(decode(png(seed=0)) - decode(png(seed=50))).mean()
    assert value["same"] is False
    assert value["counts"] == {"same": 1, "repacked": 0, "changed": 1, "added": 0, "removed": 1}
    assert value["styles"]["00"]["counts"]["changed"] == 1
    assert value["styles"]["00"]["mean_difference"] == pytest.approx(difference / 2)
    assert value["styles"]["01"] == {
        "counts": {"same": 0, "repacked": 0, "changed": 0, "added": 0, "removed": 1},
        "mean_difference": None,
    }
    assert [(one["path"], one["state"]) for one in value["files"]] == [(DOLPHIN, "changed"), (SUN, "removed")]


def test_text_is_short_and_cannot_steer_the_terminal():
    changes = [Change(f"00/\x1b[31m{i:03}.png", "changed", float(i)) for i in range(100)]
    lines = list(diff_lines("a\n", "b", changes))
    assert len(lines) < 20
    assert "099.png: changed, mean difference 99.00" in lines[1]
    assert lines[-2].strip() == "... and 88 more; --format json lists all"
    assert not any("\x1b" in line or "\n" in line for line in lines)
    assert not is_same(changes)


def test_sheet_shows_both_and_their_difference(entry, other, tmp_path):
    big = np.zeros((224, 224, 3), np.uint8)
    shifted = big.copy()
    shifted[:100] = 10
    for folder, pixels in ((entry, big), (other(), shifted)):
        Image.fromarray(pixels).save(folder / SUN)
    result = call(entry, tmp_path / "other", "--plot", tmp_path / "new" / "out.png")
    assert (result.exit_code, "out.png: written" in result.stdout) == (1, True)
    with Image.open(tmp_path / "new" / "out.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB"))
    rows = np.flatnonzero((pixels[:, 300] == 0).all(axis=-1))  # a column of pixels through A, which is black
    top = rows[-1] - 223
    assert (pixels[top : top + 224, 238:462] == 0).all()
    assert (pixels[top : top + 224, 478:702] == shifted).all()
    assert (pixels[top : top + 100, 718:942] == 255).all(), "the difference, 10, is shown as white"
    assert (pixels[top + 100 : top + 224, 718:942] == 0).all()


def test_sheet_has_at_most_so_many_rows(entry, other, tmp_path):
    b = other(_0=png(seed=50), _1=png(seed=51), _2=None)
    heights = []
    for rows in (1, 2, 3):
        result = call(entry, b, "--plot", tmp_path / "out.png", "--rows", rows)
        assert (f"; {3 - rows} left out" in result.stdout) == (rows < 3)
        with Image.open(tmp_path / "out.png") as sheet:
            heights.append(sheet.height)
    assert heights[1] - heights[0] == heights[2] - heights[1] > 200
    assert call(entry, entry, "--plot", tmp_path / "out.png").exit_code == 0


def test_sheet_of_hostile_names(tmp_path):
    names = ["00/a\nb.png", "00/" + "long word " * 20 + ".png", "00/\x1b[1m.png"]
    a = write_files(tmp_path / "a", {name: png(seed=1) for name in names})
    b = write_files(tmp_path / "b", {name: png(seed=2) for name in names})
    assert call(a, b, "--plot", tmp_path / "out.png").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["{entry}", "nowhere"], "no such file or folder"),
        (["{entry}"], "Missing argument"),
        (["{entry}", "{entry}", "--rows", "0"], "Invalid value"),
        (["{entry}", "{entry}/00/Dolphin.png"], "neither a folder nor a zip"),
        (["{entry}", "{entry}", "--plot", "{entry}"], "directory"),
    ],
)
def test_misuse_is_one_line_and_exit_2(arguments, part, entry):
    result = call(*(one.format(entry=entry) for one in arguments))
    assert (result.exit_code, part in result.output.lower() or part in result.output) == (2, True), result.output


def test_archive_that_is_not_to_be_trusted_is_refused(entry, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("../00/Dolphin.png", png())
    with pytest.raises(UserError, match="jdart-submit check"):
        changes_of(entry, tmp_path / "a.zip")


def test_damaged_picture_in_an_archive_is_a_change(entry, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, data in good_files().items():
            archive.writestr(name, data)
    whole = (tmp_path / "a.zip").read_bytes()
    at = whole.index(b"IDAT") + 8
    (tmp_path / "a.zip").write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    result = call(entry, tmp_path / "a.zip")
    assert (result.exit_code, f"{DOLPHIN}: changed (" in result.stdout) == (1, True), result.output


@pytest.mark.parametrize(
    ("plot", "part"),
    [("{entry}/00/new.png", "would be a stray file"), ("x.jpg", "ends in .png"), ("a.zip", "ends in .png")],
)
def test_sheet_never_lands_in_an_entry_nor_under_another_kind(plot, part, entry, other):
    b = other(_0=png(seed=50))
    before = sorted(path.name for path in entry.rglob("*"))
    result = call(entry, b, "--plot", plot.format(entry=entry))
    assert (result.exit_code, part in result.output) == (2, True), result.output
    assert sorted(path.name for path in entry.rglob("*")) == before


def test_a_folder_without_pictures_is_misuse(entry, tmp_path):
    (tmp_path / "none").mkdir()
    result = call(tmp_path / "none", entry)
    assert (result.exit_code, "no picture in it" in result.output) == (2, True), result.output


def test_pictures_far_down_are_compared_and_links_that_lead_back_up_end(tmp_path):
    deep = "a/b/c/d/e/f/1.png"
    a = write_files(tmp_path / "a", {"1.png": png(), deep: png(seed=1)})
    b = write_files(tmp_path / "b", {"1.png": png(), deep: png(seed=2)})
    (a / "a" / "up").symlink_to("..")
    (b / "a" / "b" / "x").symlink_to("../../a")
    assert [(change.path, change.state) for change in changes_of(a, b)] == [("1.png", "same"), (deep, "changed")]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(a / deep, deep)
    assert changes_of(a, tmp_path / "a.zip")[-1] == Change(deep, "same", 0.0)


@pytest.mark.parametrize("command", [["build", "-o"], ["diff", "{entry}", "--plot"]])
def test_a_place_that_will_not_do_is_said_by_its_name(command, entry, tmp_path):
    (tmp_path / "file").write_text("x")
    place = tmp_path / "file" / "out.png"
    contest = write_files(
        tmp_path / "contest", {"tiny.yaml": b'name: tiny\nstyles: {"00": [Dolphin, Ice cream], "01": [Sun]}\n'}
    )
    given = [*(one.format(entry=entry) for one in command), str(place), str(entry)]
    extra = ["--contest", str(contest / "tiny.yaml")] if command[0] == "build" else []
    result = CliRunner().invoke(main, [*given, *extra])
    assert (result.exit_code, result.output) == (
        2,
        f"error: {tmp_path / 'file'}: is not a folder, or lies below a file; choose another place\n",
    )
