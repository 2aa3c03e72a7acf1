"""Many entries at once: each has its report, a bad one stops nobody, a second run does only what is left."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from fixture_contest import paint, zip_outputs
from PIL import Image

from evaluator.analysis.cells import FEATURES
from evaluator.backbones.clip import ClipImages
from evaluator.cli import main


@pytest.fixture
def entries(contest: Path, tmp_path: Path) -> dict[str, Path]:
    """A folder, a zip with other pictures, an entry that lacks one, a path that is not there."""
    other = Path(shutil.copytree(contest / "outputs", tmp_path / "made" / "other"))
    Image.fromarray(paint(91, 256, 0)).save(other / "00" / "Dog.png")
    short = Path(shutil.copytree(contest / "outputs", tmp_path / "short"))
    (short / "01" / "Owl.png").unlink()
    return {
        "outputs": contest / "outputs",
        "zipped": zip_outputs(other, tmp_path / "zipped.zip"),
        "short": short,
        "nowhere": tmp_path / "nowhere",
    }


@pytest.fixture
def batch(pack: Path, contest: Path, tmp_path: Path):
    def run(*arguments: object) -> Result:
        given = ["batch", *arguments, "--references", contest / "references", "--weights", pack]
        given += ["--cache", tmp_path / "cache", "--out", tmp_path / "reports"]
        result = CliRunner().invoke(main, [str(argument) for argument in given])
        assert "Traceback" not in result.output
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return run


def rows(folder: Path) -> dict[str, dict[str, str]]:
    with open(folder / "summary.csv", encoding="utf-8-sig", newline="") as stream:
        return {row["entry"]: row for row in csv.DictReader(stream)}


def test_every_entry_gets_its_report_and_bad_ones_stop_nobody(batch, entries, report, tmp_path, monkeypatch):
    loaded: Counter[str] = Counter()
    build = ClipImages.__init__

    def counting(self, *arguments):
        loaded["clip"] += 1
        build(self, *arguments)

    monkeypatch.setattr(ClipImages, "__init__", counting)
    result = batch(*entries.values())
    assert result.exit_code == 1
    assert loaded == {"clip": 1}
    summary = rows(tmp_path / "reports")
    assert {name: row["state"] for name, row in summary.items()} == {
        "outputs": "scored",
        "zipped": "scored",
        "short": "refused",
        "nowhere": "refused",
    }
    assert float(summary["outputs"]["final"]) == pytest.approx(report.scores.final, abs=1e-6)
    assert summary["short"]["problems"] == "01/Owl.png is missing"
    assert summary["short"]["final"] == ""
    for name in ("outputs", "zipped"):
        written = json.loads((tmp_path / "reports" / summary[name]["report"]).read_text("utf-8"))
        assert written["scores"]["final"] == float(summary[name]["final"])
        assert written["submission"]["name"] == name
    assert "01/Owl.png is missing" in result.output
    assert not (tmp_path / "reports" / "short").exists()


def test_a_second_run_does_what_is_left(batch, entries, tmp_path):
    batch(*entries.values())
    before = (tmp_path / "reports" / "outputs" / "report.json").read_bytes()
    shutil.copy(entries["outputs"] / "01" / "Owl.png", entries["short"] / "01" / "Owl.png")
    entries["nowhere"].mkdir()
    shutil.copytree(entries["outputs"] / "00", entries["nowhere"] / "00")
    shutil.copytree(entries["outputs"] / "01", entries["nowhere"] / "01")
    result = batch(*entries.values())
    assert result.exit_code == 0, result.output
    states = {name: row["state"] for name, row in rows(tmp_path / "reports").items()}
    assert states == {"outputs": "kept", "zipped": "kept", "short": "scored", "nowhere": "scored"}
    assert (tmp_path / "reports" / "outputs" / "report.json").read_bytes() == before


@pytest.mark.parametrize("change", [["--profile", "official-2025"], ["--extra", "corrected"], ["--as-is"]])
def test_what_was_scored_otherwise_is_scored_again(batch, entries, tmp_path, change):
    assert batch(entries["outputs"]).exit_code == 0
    assert batch(entries["outputs"], *change).exit_code == 0
    assert rows(tmp_path / "reports")["outputs"]["state"] == "scored"


def test_a_changed_picture_or_a_broken_report_is_scored_again(batch, entries, tmp_path):
    changed = Path(shutil.copytree(entries["outputs"], tmp_path / "changed"))
    batch(changed)
    Image.fromarray(paint(92, 256, 1)).save(changed / "00" / "Dog.png")
    batch(changed)
    assert rows(tmp_path / "reports")["changed"]["state"] == "scored"
    (tmp_path / "reports" / "changed" / "report.json").write_text("{")
    batch(changed)
    assert rows(tmp_path / "reports")["changed"]["state"] == "scored"


def test_a_report_of_a_version_without_bounds_is_scored_again(batch, entries, tmp_path):
    batch(entries["outputs"])
    path = tmp_path / "reports" / "outputs" / FEATURES
    features = dict(np.load(path))
    np.savez(path, **{name: array for name, array in features.items() if not name.endswith("_bounds")})
    batch(entries["outputs"])
    assert rows(tmp_path / "reports")["outputs"]["state"] == "scored"
    assert set(np.load(path)) == set(features)
    batch(entries["outputs"])
    assert rows(tmp_path / "reports")["outputs"]["state"] == "kept"


def test_entries_of_one_name_do_not_overwrite_each_other(batch, entries, contest, tmp_path):
    twin = Path(shutil.copytree(contest / "outputs", tmp_path / "elsewhere" / "outputs"))
    assert batch(entries["outputs"], twin).exit_code == 0
    names = list(rows(tmp_path / "reports"))
    assert len(names) == 2
    assert all(name.startswith("outputs-") for name in names)


def test_misuse(batch, entries, tmp_path):
    (tmp_path / "reports").write_text("")
    result = batch(entries["outputs"])
    assert (result.exit_code, "is not a folder" in result.output) == (2, True)
    (tmp_path / "reports").unlink()
    assert batch().exit_code == 2
