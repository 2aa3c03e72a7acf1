"""Entries with bad pictures: refused with everything that is wrong, or scored without them, and said so."""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from comparing import assert_same_figures, numbers
from fixture_contest import paint
from PIL import Image

from evaluator import EntryRefused, score_submission
from evaluator.cli import main


def spoil(outputs: Path) -> dict[str, str]:
    """One picture of each kind; where -> code."""
    style = outputs / "00"
    good = (style / "Dolphin.png").read_bytes()
    (style / "Dolphin.png").write_bytes(good[: len(good) // 3])
    (style / "Bread.png").write_bytes(b"")
    Image.fromarray(paint(1, 256, 1)).convert("RGBA").save(style / "Moon.png")
    Image.fromarray(paint(2, 256, 1)).convert("P").save(style / "Lighthouse.png")
    Image.fromarray(np.zeros((256, 256), np.uint16)).save(style / "Dog.png")
    style = outputs / "01"
    Image.fromarray(paint(3, 256, 1)).convert("L").save(style / "Eagle.png")
    Image.fromarray(paint(4, 256, 1)).convert("CMYK").save(style / "Watch.png", "JPEG")
    Image.fromarray(paint(5, 256, 1)).resize((1, 1)).save(style / "Owl.png")
    Image.fromarray(paint(6, 128, 1)).save(style / "Sun.png")
    (style / "Cloud.png").unlink()
    (style / "Cloud.png").symlink_to(outputs.parent / "nowhere.png")
    (style / "notes.txt").write_text("hello")
    return {
        "00/Dolphin.png": "unreadable",
        "00/Bread.png": "unreadable",
        "00/Moon.png": "not-rgb8",
        "00/Lighthouse.png": "not-rgb8",
        "00/Dog.png": "not-rgb8",
        "01/Eagle.png": "not-rgb8",
        "01/Watch.png": "unreadable",
        "01/Owl.png": "too-small",
        "01/Sun.png": "mixed-sizes",
        "01/Cloud.png": "stray-file",
        "01/notes.txt": "stray-file",
    }


def test_all_are_found_and_there_is_no_score(pack, references, outputs):
    wanted = spoil(outputs)
    with pytest.raises(EntryRefused) as refused:
        score_submission(outputs, references=references, weights=pack)
    assert {finding.where: finding.code for finding in refused.value.findings} == wanted


def test_pictures_and_style_folders_may_be_links(pack, references, outputs, report):
    store = outputs.parent / "blobs"
    store.mkdir()
    for path in sorted(outputs.glob("00/*.png")):
        path.rename(store / path.name)
        path.symlink_to(store / path.name)
    (outputs / "01").rename(store / "01")
    (outputs / "01").symlink_to(store / "01")
    linked = score_submission(outputs, references=references, weights=pack, write=False)
    assert linked.submission.sha256 == report.submission.sha256
    assert numbers(asdict(linked.scores)) == pytest.approx(numbers(asdict(report.scores)), abs=1e-9)


def test_the_rest_can_be_scored_without_them(pack, references, outputs, report):
    wanted = spoil(outputs)
    left = score_submission(outputs, references=references, weights=pack, skip_bad=True, write=False)
    assert {style: set(images) for style, images in left.images.items()} == {
        "00": {"Plate.png"},
        "01": {"Ice cream.png"},
    }
    same = left.images["01"]["Ice cream.png"], report.images["01"]["Ice cream.png"]
    assert numbers(asdict(same[0])) == pytest.approx(numbers(asdict(same[1])), abs=1e-6)
    provenance = left.provenance
    assert {line.split(" ")[0] for line in provenance.skipped} == {where.split(" ")[0] for where in wanted}
    assert not provenance.complete
    assert not provenance.comparable
    assert any("left out" in reason for reason in provenance.not_comparable_because)
    # the checker's own figures on the same two pictures: what is skipped leaves no trace
    for style, name in (("00", "Plate.png"), ("01", "Ice cream.png")):
        alone = outputs.parent / "alone" / style
        alone.mkdir(parents=True)
        shutil.copy(outputs / style / name, alone / name)
    alone = score_submission(outputs.parent / "alone", references=references, weights=pack, as_is=True, write=False)
    assert_same_figures(alone, left)


def test_a_style_without_pictures_is_left_out(pack, references, outputs):
    shutil.rmtree(outputs / "01")
    left = score_submission(outputs, references=references, weights=pack, skip_bad=True, write=False)
    assert list(left.styles) == ["00"]
    assert left.provenance.skipped[0].startswith("01 has no pictures")


def test_one_picture_in_a_style_has_no_fid_of_its_own(pack, references, outputs):
    for picture in sorted((outputs / "00").iterdir())[1:]:
        picture.unlink()
    left = score_submission(outputs, references=references, weights=pack, as_is=True, write=False)
    assert left.styles["00"].images == 1
    assert set(left.extras["style_fid"].styles) == set(left.extras["kid"].styles) == {"01"}


def test_nothing_left_is_refused(pack, references, outputs):
    for picture in [*(outputs / "00").iterdir(), *sorted((outputs / "01").iterdir())[1:]]:
        picture.write_bytes(b"")
    with pytest.raises(EntryRefused) as refused:
        score_submission(outputs, references=references, weights=pack, skip_bad=True)
    assert refused.value.findings[-1].code == "too-few"
    assert len(refused.value.findings) == 12


def test_what_only_the_decoder_can_fault_is_left_out_too(pack, references, outputs, monkeypatch):
    from evaluator.inputs.images import BadPicture
    from evaluator.scoring import viewer as extract

    broken, decode = (outputs / "00" / "Dog.png").read_bytes(), extract.decode

    def failing(data):
        if data == broken:
            raise BadPicture("unreadable", "cannot be decoded")
        return decode(data)

    monkeypatch.setattr(extract, "decode", failing)
    left = score_submission(outputs, references=references, weights=pack, skip_bad=True, write=False, cache=False)
    assert left.provenance.skipped == ["00/Dog.png cannot be decoded"]
    assert left.styles["00"].images == 5


def test_a_file_that_may_not_be_read(pack, references, outputs, monkeypatch):
    read = Path.read_bytes

    def refusing(path):
        if path.name == "Dog.png":  # root may read anything, so the system cannot be asked to refuse
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refusing)
    with pytest.raises(EntryRefused) as refused:
        score_submission(outputs, references=references, weights=pack)
    assert [str(finding) for finding in refused.value.findings] == ["00/Dog.png cannot be read (Permission denied)"]


def test_a_file_that_changes_while_it_is_scored(pack, references, outputs, tmp_path, monkeypatch):
    """Its notes must not be kept under the name of what it was."""
    from evaluator.scoring import scorer as evaluate

    check = evaluate.check_entry

    def changing(*arguments):
        found = check(*arguments)
        Image.fromarray(paint(61, 256, 2)).save(outputs / "00" / "Dog.png")
        return found

    monkeypatch.setattr(evaluate, "check_entry", changing)
    with pytest.raises(EntryRefused) as refused:
        score_submission(outputs, references=references, weights=pack, cache=tmp_path / "cache")
    assert [str(finding) for finding in refused.value.findings] == ["00/Dog.png changed while it was being scored"]


def test_an_enormous_picture_is_not_decoded(pack, references, outputs, monkeypatch):
    import struct
    import zlib

    path = outputs / "00" / "Dog.png"
    data = path.read_bytes()
    header = b"IHDR" + struct.pack(">IIBBBBB", 20000, 20000, 8, 2, 0, 0, 0)
    path.write_bytes(data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:])
    with pytest.raises(EntryRefused) as refused:
        score_submission(outputs, references=references, weights=pack)
    assert [finding.code for finding in refused.value.findings] == ["too-large"]


def test_the_command(pack, references, outputs, tmp_path):
    (outputs / "00" / "Dog.png").write_bytes(b"")
    given = ["score", outputs, "--references", references, "--weights", pack, "--out", tmp_path / "report"]
    strict = CliRunner().invoke(main, [str(part) for part in given])
    assert (strict.exit_code, "00/Dog.png: is empty; it was never written" in strict.output) == (1, True)
    assert not (tmp_path / "report").exists()
    skipping = CliRunner().invoke(main, [str(part) for part in (*given, "--skip-bad")])
    assert skipping.exit_code == 0, skipping.output
    assert "Left out: 1" in skipping.output
    assert "- 00/Dog.png is empty" in skipping.output
    assert os.listdir(tmp_path / "report")
