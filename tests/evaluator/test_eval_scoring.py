"""One look at each picture, and the same figures whatever the batch, the order or the container."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from comparing import assert_same_figures, figures
from fixture_contest import zip_outputs
from PIL import Image

from contest.errors import UserError
from evaluator import EntryRefused, score_submission
from evaluator.inputs.check import INCOMPLETE
from evaluator.weights import folder as files
from evaluator.weights.folder import doubts, open_weights


def findings_of(refused: pytest.ExceptionInfo[EntryRefused]) -> set[tuple[str, str]]:
    return {(finding.code, finding.where) for finding in refused.value.findings}


def test_every_network_sees_every_picture_once(pack, contest, monkeypatch):
    from evaluator.backbones import clip, dinov2, inception, rn50, squeezenet
    from evaluator.scoring import viewer as extract

    seen: Counter[str] = Counter()

    def count(owner, method):
        original = getattr(owner, method)

        def counting(self, items, *more):
            seen[f"{owner.__name__}.{method}"] += len(items)
            return original(self, items, *more)

        monkeypatch.setattr(owner, method, counting)

    for owner in (dinov2.DinoV2, inception.InceptionStem, squeezenet.SqueezeNet, rn50.Rn50Images, clip.ClipImages):
        count(owner, "features")
    count(clip.ClipTexts, "features")
    count(rn50.Rn50Texts, "features")
    decode = extract.decode

    def counting_decode(data):
        seen["decode"] += 1
        return decode(data)

    monkeypatch.setattr(extract, "decode", counting_decode)
    stages = []
    score_submission(
        contest / "outputs",
        references=contest / "references",
        weights=pack,
        write=False,
        cache=False,
        progress=lambda stage, done, total: stages.append((stage, done, total)),
    )
    vocabulary_and_own_names = seen.pop("ClipTexts.features")
    assert 215 <= vocabulary_and_own_names <= 215 + 12
    assert seen == {
        "decode": 32,  # outputs twice: the largest network has the memory to itself
        "DinoV2.features": 20,  # 8 references and 12 outputs
        "InceptionStem.features": 20,
        "SqueezeNet.features": 20,
        "Rn50Images.features": 12,
        "ClipImages.features": 12,
        "Rn50Texts.features": 2,
    }
    assert (stages[0], stages[-1]) == (("references", 0, 8), ("outputs", 12, 12))


@pytest.mark.parametrize("batch_size", [1, 5])
def test_batch_size_does_not_change_figures(pack, contest, report, batch_size):
    other = score_submission(
        contest / "outputs",
        references=contest / "references",
        weights=pack,
        write=False,
        cache=False,
        batch_size=batch_size,
    )
    assert_same_figures(other, report)


def test_order_of_pictures_does_not_change_figures(pack, contest, report, monkeypatch):
    from evaluator.scoring.viewer import Viewer

    look, keep = Viewer.look, Viewer.keep

    def look_backwards(self, pictures, *more):
        return look(self, pictures[::-1], *more)

    def keep_backwards(self, pictures, *more):
        return keep(self, {style: found[::-1] for style, found in reversed(pictures.items())}, *more)

    monkeypatch.setattr(Viewer, "look", look_backwards)
    monkeypatch.setattr(Viewer, "keep", keep_backwards)
    other = score_submission(
        contest / "outputs", references=contest / "references", weights=pack, write=False, cache=False, batch_size=4
    )
    assert_same_figures(other, report)


def test_zip_and_folder_give_the_same_report(pack, contest, report, tmp_path):
    path = zip_outputs(contest / "outputs", tmp_path / "outputs.zip")
    other = score_submission(path, references=contest / "references", weights=pack, write=False)
    assert figures(other) == figures(report)


def test_a_manifest_names_entry_contest_and_styles(pack, contest, report, tmp_path):
    shutil.copytree(contest / "outputs" / "01", tmp_path / "one" / "01")
    path = zip_outputs(
        tmp_path / "one",
        tmp_path / "entry.zip",
        contest={"name": "sample", "styles": {"01": 6}},
        run={"name": "demo"},
    )
    other = score_submission(path, references=contest / "references", weights=pack)
    assert (other.submission.name, other.contest) == ("demo", "sample")
    assert set(other.styles) == {"01"}
    assert asdict(other.styles["01"]) == pytest.approx(asdict(report.styles["01"]))
    assert any("1 of the references' 2 styles" in reason for reason in other.provenance.not_comparable_because)
    assert (tmp_path / "entry-report" / "report.json").is_file()


def test_a_run_folder_brings_everything(pack, contest, report, tmp_path):
    run = tmp_path / "runs" / "demo"
    shutil.copytree(contest / "outputs", run / "images")
    shutil.copytree(contest / "references", tmp_path / "references")
    document = {
        "schema_version": 1,
        "name": "my run",
        "contest": "sample",
        "styles": ["00", "01"],
        "images": "images",
        "local": {"references": "../../references", "weights": str(pack)},
    }
    (run / "run.json").write_text(json.dumps(document), "utf-8")
    other = score_submission(run)
    assert (other.submission.name, other.contest) == ("my run", "sample")
    assert other.submission.sha256 == report.submission.sha256
    assert other.scores == report.scores
    assert (run / "report" / "report.json").is_file()


def test_as_is_scores_what_is_there(pack, references, outputs, report):
    (outputs / "00" / "Dolphin.png").unlink()
    (outputs / "00" / "Dog.png").rename(outputs / "00" / "Cat.v2.png")
    with pytest.raises(EntryRefused) as refused:
        score_submission(outputs, references=references, weights=pack)
    assert findings_of(refused) == {
        ("missing-picture", "00/Dolphin.png"),
        ("missing-picture", "00/Dog.png"),
        ("extra-picture", "00/Cat.v2.png"),
    }
    other = score_submission(outputs, references=references, weights=pack, as_is=True, write=False)
    assert other.styles["00"].images == 5
    assert set(other.images["00"]) == {"Bread.png", "Cat.v2.png", "Lighthouse.png", "Moon.png", "Plate.png"}
    same = other.images["00"]["Cat.v2.png"], report.images["00"]["Dog.png"]
    assert same[0].dino == pytest.approx(same[1].dino, abs=1e-6)
    assert same[0].clip_r_top5 == same[1].clip_r_top5
    correct = [image.clip_r_correct for table in other.images.values() for image in table.values()]
    assert other.scores.clip_r == sum(correct) / 11  # pictures, not styles, are averaged
    assert not other.provenance.complete
    assert any("not complete" in reason for reason in other.provenance.not_comparable_because)


def test_as_is_refuses_an_empty_style_and_a_single_picture(pack, references, outputs):
    shutil.rmtree(outputs / "01")
    with pytest.raises(EntryRefused) as refused:
        score_submission(outputs, references=references, weights=pack, as_is=True)
    assert findings_of(refused) == {("empty-style", "01")}
    for picture in sorted((outputs / "00").iterdir())[1:]:
        picture.unlink()
    with pytest.raises(EntryRefused) as refused:
        score_submission(outputs, references=references, weights=pack, as_is=True, styles=["00"])
    assert findings_of(refused) == {("too-few", "00")}


@pytest.mark.parametrize("as_is", [False, True])
def test_all_problems_are_found_at_once(pack, references, outputs, as_is):
    style = outputs / "00"
    (style / "Dolphin.png").unlink()
    (style / "Bread.png").write_bytes((style / "Bread.png").read_bytes()[:3000])
    with Image.open(style / "Moon.png") as image:
        image.convert("RGBA").save(style / "Moon.png")
    with Image.open(style / "Dog.png") as image:
        image.resize((128, 256)).save(style / "Dog.png")
    (style / "notes.txt").write_text("hello")
    (style / "folder.png").mkdir()
    (style / "Plate.png").rename(style / "plate.png")
    shutil.rmtree(outputs / "01")
    with pytest.raises(EntryRefused) as refused:
        score_submission(outputs, references=references, weights=pack, as_is=as_is)
    always = {
        ("unreadable", "00/Bread.png"),
        ("not-rgb8", "00/Moon.png"),
        ("mixed-sizes", "00/Dog.png"),
        ("stray-file", "00/notes.txt"),
        ("stray-file", "00/folder.png"),
    }
    completeness = {
        ("missing-picture", "00/Dolphin.png"),
        ("missing-picture", "00/Plate.png"),
        ("extra-picture", "00/plate.png"),
        ("missing-style", "01"),
    }
    assert {code for code, _ in completeness} == set(INCOMPLETE)
    assert findings_of(refused) == always | ({("empty-style", "01")} if as_is else completeness)


def test_a_picture_that_only_the_decoder_can_fault_is_found(pack, references, outputs, monkeypatch):
    from evaluator.inputs.images import BadPicture
    from evaluator.scoring import viewer as extract

    broken = {(outputs / "00" / name).read_bytes() for name in ("Dog.png", "Moon.png")}
    decode = extract.decode

    def failing(data):
        if data in broken:
            raise BadPicture("unreadable", "cannot be decoded")
        return decode(data)

    monkeypatch.setattr(extract, "decode", failing)
    with pytest.raises(EntryRefused) as refused:
        score_submission(outputs, references=references, weights=pack, cache=False)
    assert findings_of(refused) == {("unreadable", "00/Dog.png"), ("unreadable", "00/Moon.png")}
    assert not outputs.with_name("outputs-report").exists()


def test_strays_in_a_zip_are_found(pack, contest, tmp_path):
    path = zip_outputs(contest / "outputs", tmp_path / "outputs.zip")
    with zipfile.ZipFile(path, "a") as archive:
        for name in ("README.md", "__MACOSX/00/._Dog.png", "00/deeper/Dog.png", "01/notes.txt"):
            archive.writestr(name, b"x")
    with pytest.raises(EntryRefused) as refused:
        score_submission(path, references=contest / "references", weights=pack)
    assert findings_of(refused) == {
        ("stray-file", "00/deeper"),
        ("stray-file", "00/deeper/Dog.png"),
        ("stray-file", "01/notes.txt"),
    }
    assert not (tmp_path / "outputs-report").exists()


def link(archive: zipfile.ZipFile) -> None:
    info = zipfile.ZipInfo("01/Link.png")
    info.external_attr = 0o120777 << 16
    archive.writestr(info, "/etc/hostname")


def twice(archive: zipfile.ZipFile) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("00/Dog.png", b"another")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda archive: archive.writestr("../00/Up.png", b"x"), "S402 .*leads out"),
        (lambda archive: archive.writestr("/00/Root.png", b"x"), "S402 .*leads out"),
        (lambda archive: archive.writestr("00/Big.png", bytes(9 << 20), zipfile.ZIP_DEFLATED), "S410 .*unpack"),
        (lambda archive: archive.writestr("00/Bz.png", b"x" * 99, zipfile.ZIP_BZIP2), "S406"),
        (link, "S404 .*symbolic link"),
    ],
)
def test_a_hostile_zip_is_refused(pack, contest, tmp_path, spoil, words):
    """What the archive itself says is judged by the package that knows archives."""
    path = zip_outputs(contest / "outputs", tmp_path / "outputs.zip")
    with zipfile.ZipFile(path, "a") as archive:
        spoil(archive)
    with pytest.raises(UserError, match=f"{words}.*see all with: jdart-submit check"):
        score_submission(path, references=contest / "references", weights=pack)


def test_a_name_that_is_in_a_zip_twice_is_no_picture(pack, contest, tmp_path):
    path = zip_outputs(contest / "outputs", tmp_path / "outputs.zip")
    with zipfile.ZipFile(path, "a") as archive:
        twice(archive)
    with pytest.raises(EntryRefused) as refused:
        score_submission(path, references=contest / "references", weights=pack)
    assert ("stray-file", "00/Dog.png") in findings_of(refused)


def test_a_zip_member_is_read_only_up_to_the_limit(pack, contest, tmp_path, monkeypatch):
    from contest.definition import Limits

    monkeypatch.setattr("evaluator.inputs.entry.LIMITS", Limits(file_bytes=1 << 20))
    path = tmp_path / "outputs.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("00/Dog.png", bytes(3 << 20))
    with pytest.raises(EntryRefused) as refused:
        score_submission(path, references=contest / "references", weights=pack, as_is=True, styles=["00"])
    assert ("unreadable", "00/Dog.png") in findings_of(refused)


def test_references_that_cannot_be_used(pack, contest, references):
    with Image.open(references / "00" / "images" / "cow.png") as image:
        image.resize((100, 100)).save(references / "00" / "images" / "cow.png")
    (references / "01" / "images" / "rose.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"01/images/rose\.png is empty; .*; 00/cow\.png is 100x100"):
        score_submission(contest / "outputs", references=references, weights=pack)
    (references / "01" / "images" / "rose.jpg").write_bytes(b"")
    with pytest.raises(UserError, match=r"only PNG files belong here, not rose\.jpg"):
        score_submission(contest / "outputs", references=references, weights=pack)


def test_weights_that_are_not_numbers_are_named(pack, contest, tmp_path):
    broken = Path(shutil.copytree(pack, tmp_path / "pack"))
    state = torch.load(broken / files.INCEPTION)
    state["Conv2d_2b_3x3.bn.bias"].fill_(float("nan"))
    torch.save(state, broken / files.INCEPTION)
    with pytest.raises(UserError, match=r"Conv2d_2b_3x3\.bn\.bias is not finite"):
        score_submission(contest / "outputs", references=contest / "references", weights=broken)


def test_figures_that_are_not_numbers_give_no_score(pack, contest, tmp_path):
    """Finite weights, but so large that the features overflow."""
    broken = Path(shutil.copytree(pack, tmp_path / "pack"))
    state = torch.load(broken / files.INCEPTION)
    for name in ("Conv2d_1a_3x3.conv.weight", "Conv2d_2a_3x3.conv.weight", "Conv2d_2b_3x3.conv.weight"):
        state[name] *= 1e30
    torch.save(state, broken / files.INCEPTION)
    with pytest.raises(UserError, match=r"inception: features that are not finite numbers"):
        score_submission(contest / "outputs", references=contest / "references", weights=broken)
    assert not (contest / "outputs-report").exists()


def test_real_weights_are_comparable_only_with_a_lock_that_vouches_for_them(pack, tmp_path):
    """With the hashes and widths of the real files; the files themselves are too large for a test."""
    real = Path(shutil.copytree(pack, tmp_path / "pack"))
    for folder, key in ((files.DINO, "hidden_size"), (files.CLIP, "projection_dim")):
        (real / folder / "config.json").write_text(json.dumps({key: 768}), "utf-8")
    weights = open_weights(real)
    hashes = weights.hashes()
    assert len(doubts(weights, hashes)) == 5  # RN50, SqueezeNet, Inception, and two folders without a lock
    hashes[files.RN50] = "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762"
    hashes[files.SQUEEZENET], hashes[files.INCEPTION] = "b8a52dc0" + "0" * 56, "6726825d" + "0" * 56
    reasons = doubts(weights, hashes)
    assert ["unverified" in reason for reason in reasons] == [True, True]
    revisions = {
        files.DINO: "f9e44c814b77203eaa57a6bdbbd535f21ede1415",
        files.CLIP: "32bd64288804d66eefd0ccbe215aa642df71cc41",
    }
    locked = {
        name: {"sha256": hashes[name], "revision": revisions[name.split("/")[0]]}
        for name in weights.files
        if name.split("/")[0] in revisions
    }
    (real / files.LOCK).write_text(json.dumps({"schema_version": 1, "files": locked}), "utf-8")
    assert doubts(weights, hashes) == []
    hashes[f"{files.DINO}/model.safetensors"] = "0" * 64
    assert len(doubts(weights, hashes)) == 1


def test_names_that_cannot_stand_on_a_line_are_findings(pack, references, outputs):
    shutil.copy(outputs / "00" / "Dog.png", outputs / "00" / "two\nlines.png")
    with open(os.fsencode(outputs / "00") + b"/broken-\xff.png", "wb") as stream:
        stream.write(b"x")
    with pytest.raises(EntryRefused) as refused:
        score_submission(outputs, references=references, weights=pack)
    assert {finding.code for finding in refused.value.findings} == {"stray-file"}
    lines = [str(finding) for finding in refused.value.findings]
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)


def test_an_unknown_device_is_refused(pack, contest):
    with pytest.raises(UserError, match="device 'tpu' is not known"):
        score_submission(
            contest / "outputs", references=contest / "references", weights=pack, device="tpu", write=False
        )
