"""`toy` in the place of a weights folder: the pack that comes along, here a miniature one."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from comparing import assert_same_figures

from contest.errors import UserError
from evaluator import Report, score_submission
from evaluator.cli import main
from evaluator.weights import folder as files

REASON = "toy weights: not comparable with the contest"
TOKENIZER = ("vocab.json", "merges.txt", "tokenizer_config.json")


@pytest.fixture(scope="module")
def archive(pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The miniature pack as it would ship: it calls itself the toy, and leaves the tokenizer out."""
    place = tmp_path_factory.mktemp("shipped") / "toy.zip"
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(p for p in pack.rglob("*") if p.is_file() and p.name not in TOKENIZER):
            name = path.relative_to(pack).as_posix()
            data = path.read_bytes()
            if name == f"{files.CLIP}/config.json":
                data = json.dumps({**json.loads(data), "_name_or_path": files.TOY_NAME}).encode()
            archive.writestr(name, data)
    return place


@pytest.fixture(autouse=True)
def shipped(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The archive in the package's place, and a working folder without a folder `toy`."""
    monkeypatch.setattr(files, "toy_archive", {"evaluator": archive}.__getitem__)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


Run = Callable[..., str]


@pytest.fixture
def run() -> Run:
    """A command's output, after its exit code was seen to be right."""

    def go(*arguments: object, code: int = 0) -> str:
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        assert result.exit_code == code, result.output
        return result.output

    return go


def test_the_pack_is_whole_after_unpacking(pack: Path) -> None:
    weights = files.open_weights(Path("toy"))
    assert weights.root != Path("toy")
    ours, theirs = weights.hashes(), files.open_weights(pack).hashes()
    assert {name for name in theirs if ours[name] != theirs[name]} == {f"{files.CLIP}/config.json"}


def test_figures_are_those_of_the_folder_and_not_comparable(report: Report, contest: Path) -> None:
    toy = score_submission(contest / "outputs", references=contest / "references", weights="toy", write=False)
    assert_same_figures(toy, report)
    assert not toy.provenance.comparable
    assert toy.provenance.not_comparable_because == [REASON]
    assert toy.provenance.weights != report.provenance.weights, "never ranked with the miniature ones"


def test_commands_take_the_name(run: Run, contest: Path, tmp_path: Path) -> None:
    outputs, references = contest / "outputs", contest / "references"
    run("references", "pack", references, "-o", tmp_path / "refs.npz", "--weights", "toy")
    run("score", outputs, "--references", tmp_path / "refs.npz", "--weights", "toy", "--out", tmp_path / "report")
    run("batch", outputs, "--references", references, "--weights", "toy", "--out", tmp_path / "batch")
    for place in (tmp_path / "report", tmp_path / "batch" / "outputs"):
        provenance = json.loads((place / "report.json").read_text("utf-8"))["provenance"]
        assert (provenance["comparable"], provenance["not_comparable_because"]) == (False, [REASON])
    run("explain", tmp_path / "report")
    assert "toy weights" in run("weights", "verify", "toy", code=1)
    rows = json.loads(run("weights", "list", "toy", "--json"))["files"]
    assert {row["name"]: row["state"] for row in rows}[files.RN50] == "wrong"


def test_a_run_folder_names_it(run: Run, contest: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(contest / "outputs", folder / "images")
    local = {"references": "../references", "weights": "toy"}
    (folder / "run.json").write_text(json.dumps({"schema_version": 1, "name": "mine", "local": local}))
    (tmp_path / "references").symlink_to(contest / "references")
    run("score", folder)
    assert REASON in (folder / "report" / "report.json").read_text("utf-8")


def test_a_real_folder_of_that_name_goes_first(pack: Path) -> None:
    Path("toy").symlink_to(pack)
    weights = files.open_weights(Path("toy"))
    assert weights.root == Path("toy")
    assert files.doubts(weights, weights.hashes()) == [
        "miniature weights: the figures check the arithmetic, not the pictures"
    ]


def test_a_copy_of_the_toy_weights_is_recognised(tmp_path: Path) -> None:
    shutil.copytree(files.find_weights(Path("toy")), tmp_path / "copy")
    weights = files.open_weights(tmp_path / "copy")
    assert files.doubts(weights, weights.hashes()) == [REASON]


def test_without_the_archive_it_says_what_makes_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run: Run) -> None:
    monkeypatch.setattr(files, "toy_archive", lambda package: tmp_path / "toy.zip")
    with pytest.raises(UserError, match="make toy"):
        files.open_weights(Path("toy"))
    said = run("weights", "verify", "toy", code=2)
    assert "make toy" in said


def test_settings_that_cannot_be_read_are_no_toy(pack: Path, tmp_path: Path) -> None:
    shutil.copytree(pack, tmp_path / "damaged")
    (tmp_path / "damaged" / files.CLIP / "config.json").write_text("[")
    weights = replace(files.open_weights(pack), root=tmp_path / "damaged")
    assert not files.is_toy(weights.root)
