"""That a place cannot be written is said before any network is asked for."""

from __future__ import annotations

import shutil

import pytest
from click.testing import CliRunner
from made_reports import make_report, write

import evaluator.analysis.plots as plots
import evaluator.scoring.scorer as evaluate
import evaluator.weights.pull as pull
from evaluator.cli import main


@pytest.fixture
def refused(monkeypatch, tmp_path):
    """Runs a command that must say in one line that `place` will not do, before it looks at a weight."""

    def no(*_, **__):
        raise AssertionError("it was said too late")

    monkeypatch.setattr(evaluate, "open_weights", no)
    monkeypatch.setattr(pull, "_look_up", no)
    for name in ("draw_explanation", "draw_comparison"):
        monkeypatch.setattr(plots, name, no)
    (tmp_path / "file").write_text("")

    def run(place, *given):
        result = CliRunner().invoke(main, [str(one) for one in given])
        assert isinstance(result.exception, SystemExit) and result.exit_code == 2, result.output
        (line,) = result.output.splitlines()
        assert line.startswith(f"error: {place}: "), line

    return run


def test_score(refused, contest, tmp_path):
    given = ("score", contest / "outputs", "--references", contest / "references", "--weights", "toy", "--out")
    refused(tmp_path / "file" / "report", *given, tmp_path / "file" / "report")
    (tmp_path / "report" / "report.json").mkdir(parents=True)
    refused(tmp_path / "report" / "report.json", *given, tmp_path / "report")


def test_score_into_a_folder_of_which_a_part_takes_no_file(refused, contest, tmp_path, monkeypatch):
    shut = tmp_path / "report" / "thumbnails" / "outputs" / "00"
    shut.mkdir(parents=True)
    import contest.disk.writable as writable

    real = writable.tempfile.mkstemp

    def refuse(*, dir, **options):
        if dir == shut:
            raise PermissionError(13, "Permission denied")
        return real(dir=dir, **options)

    monkeypatch.setattr(writable.tempfile, "mkstemp", refuse)
    given = ("--references", contest / "references", "--weights", "toy", "--out", tmp_path / "report")
    refused(shut, "score", contest / "outputs", *given)


def test_default_place_beside_an_entry(refused, outputs, contest):
    place = outputs.with_name("outputs-report")
    place.write_text("a file of that name")
    refused(place, "score", outputs, "--references", contest / "references", "--weights", "toy")


def test_batch(refused, contest, tmp_path):
    given = ("batch", contest / "outputs", "--references", contest / "references", "--weights", "toy", "--out")
    refused(tmp_path / "file", *given, tmp_path / "file")
    (tmp_path / "out" / "summary.csv").mkdir(parents=True)
    refused(tmp_path / "out" / "summary.csv", *given, tmp_path / "out")


def test_references_pack(refused, contest, tmp_path):
    given = ("references", "pack", contest / "references", "--weights", "toy", "-o")
    refused(tmp_path / "file", *given, tmp_path / "file" / "pack.npz")
    (tmp_path / "pack.npz").mkdir()
    refused(tmp_path / "pack.npz", *given, tmp_path / "pack.npz")


def test_weights_pull(refused, tmp_path):
    refused(tmp_path / "file", "weights", "pull", tmp_path / "file")
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "dinov2-base").write_text("")
    refused(tmp_path / "weights" / "dinov2-base", "weights", "pull", tmp_path / "weights")


def test_weights_new(refused, tmp_path):
    refused(tmp_path / "file", "weights", "new", tmp_path / "file" / "weights")


def test_plots(refused, tmp_path):
    one = write(tmp_path / "one", make_report([3, 3], seed=1))
    for command in (("explain", one), ("compare", one, one)):
        refused(tmp_path / "file", *command, "--plot", tmp_path / "file" / "plot.png")
        (tmp_path / "plot.png").mkdir(exist_ok=True)
        refused(tmp_path / "plot.png", *command, "--plot", tmp_path / "plot.png")


def test_a_batch_says_of_one_entry_that_its_place_will_not_do_and_scores_the_others(pack, contest, tmp_path):
    entries = [shutil.copytree(contest / "outputs", tmp_path / name) for name in ("one", "two")]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "one").write_text("a file of that name")
    given = ["batch", *entries, "--references", contest / "references", "--weights", pack, "--out", tmp_path / "out"]
    result = CliRunner().invoke(main, [str(one) for one in given])
    assert result.exit_code == 1, result.output
    assert (tmp_path / "out" / "two" / "report.json").is_file()
    assert "is not a folder" in " ".join((tmp_path / "out" / "summary.csv").read_text("utf-8-sig").split())
