"""A batch over a local Ray cluster: the same reports as one process, whatever becomes of the workers."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from fixture_contest import paint
from PIL import Image

from benchmarks.spread import Cost, measure, tables
from benchmarks.workload import Shape
from evaluator.cli import main
from evaluator.inputs.refpack import open_references
from evaluator.scoring import spread
from evaluator.scoring.batch import score_batch
from evaluator.scoring.plan import BEGIN, LOOK, REPORT, Plan, Unit
from evaluator.scoring.scorer import Options, Scorer
from evaluator.scoring.spread import RETRIES, Judge, Worker, score_on_ray


def test_a_plan_finishes_what_was_begun_first():
    plan = Plan(2)
    assert plan.next() == Unit(0, BEGIN)
    assert plan.next() == Unit(1, BEGIN)
    assert plan.next() is None  # both are under way
    plan.look(0, ("00", "01"))
    first, second = plan.next(), plan.next()
    assert (first, second) == (Unit(0, LOOK, "00"), Unit(0, LOOK, "01"))
    plan.looked(second)
    plan.look(1, ())
    assert plan.next() == Unit(1, REPORT)
    plan.again(first)  # its worker died
    assert plan.next() == first
    plan.looked(first)
    assert plan.next() == Unit(0, REPORT)
    assert plan.close(0) and plan.close(1)
    assert plan.next() is None


def test_a_plan_does_nothing_more_for_an_entry_that_has_its_outcome():
    plan = Plan(1)
    plan.next()
    plan.look(0, ("00", "01", "02"))
    first, second = plan.next(), plan.next()
    assert plan.close(0)
    assert not plan.close(0)  # one outcome alone
    plan.looked(first)
    plan.again(second)
    assert plan.next() is None


def figures(folder: Path) -> object:
    report = json.loads((folder / "report.json").read_text("utf-8"))
    report["provenance"]["seconds"] = {}
    return report


def rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "summary.csv", encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.slow
def test_workers_that_die_change_no_figure_and_a_poisoned_entry_is_refused_alone(contest, pack, tmp_path, monkeypatch):
    pytest.importorskip("ray")
    marks = tmp_path / "marks"
    marks.mkdir()

    class Mortal(Worker):
        """Killed at a style of `unlucky` once, at its report once, and at a style of `poisoned` always."""

        def work(self, unit, path, name, folder):
            before = len(list(marks.glob(f"{name} {unit.kind} {unit.style} *")))
            (marks / f"{name} {unit.kind} {unit.style} {before}").touch()
            once = name == "unlucky" and (unit.style == "01" or unit.kind == REPORT) and before == 0
            if once or (name == "poisoned" and unit.style == "01"):
                os.kill(os.getpid(), signal.SIGKILL)
            return super().work(unit, path, name, folder)

    paths = [contest / "outputs"]
    for number, name in enumerate(("unlucky", "poisoned", "short")):
        paths.append(Path(shutil.copytree(contest / "outputs", tmp_path / name)))
        Image.fromarray(paint(91 + number, 256, 0)).save(paths[-1] / "00" / "Dog.png")
    (tmp_path / "short" / "01" / "Owl.png").unlink()
    alone = Scorer(open_references(contest / "references"), pack, Options(cache=False))
    wanted = {one.entry: one for one in score_batch(paths, alone, tmp_path / "alone")}
    monkeypatch.setattr(spread, "Worker", Mortal)
    judge = Judge(contest / "references", pack, Options(cache=tmp_path / "cache"), threads=1)
    outcomes = list(score_on_ray(paths, judge, tmp_path / "spread", 2))
    found = {one.entry: one for one in outcomes}
    states = {"outputs": "scored", "unlucky": "scored", "poisoned": "refused", "short": "refused"}
    assert sorted(one.entry for one in outcomes) == sorted(states)  # each once
    assert {name: one.state for name, one in found.items()} == states
    assert found["poisoned"].problems[0].startswith(f"its worker died {RETRIES + 1} times")
    assert found["short"].problems == wanted["short"].problems == ("01/Owl.png is missing",)
    tried = Counter(mark.name.rpartition(" ")[0] for mark in marks.iterdir())
    assert tried["poisoned look 01"] == RETRIES + 1
    assert tried["unlucky look 01"] == tried["unlucky report None"] == 2
    assert tried["outputs report None"] == 1 and tried["poisoned report None"] == tried["short report None"] == 0
    for name in ("outputs", "unlucky"):
        assert figures(tmp_path / "spread" / name) == figures(tmp_path / "alone" / name)
    assert [(row["entry"], row["state"]) for row in rows(tmp_path / "spread")] == list(states.items())
    given = ["batch", *paths[:2], "--references", contest / "references", "--weights", pack, "--executor", "ray"]
    given += ["--workers", "2", "--cache", tmp_path / "cache", "--out", tmp_path / "spread"]
    result = CliRunner().invoke(main, [str(argument) for argument in given])  # what is there is not scored again
    assert result.exit_code == 0, result.output
    assert [row["state"] for row in rows(tmp_path / "spread")] == ["kept", "kept"]


def test_workers_without_a_cluster_are_misuse(tmp_path):
    given = ["batch", "x", "--references", "toy", "--weights", "toy", "--out", tmp_path / "out", "--workers", "2"]
    result = CliRunner().invoke(main, [str(argument) for argument in given])
    assert result.exit_code == 2
    assert "add --executor ray" in result.output


def test_ray_that_is_not_installed_is_said_before_anything_is_done(contest, pack, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    given = ["batch", contest / "outputs", "--references", contest / "references", "--weights", pack]
    given += ["--executor", "ray", "--out", tmp_path / "out"]
    result = CliRunner().invoke(main, [str(argument) for argument in given])
    assert result.exit_code == 2
    assert "pip install 'jdart[ray]'" in result.output


def test_what_a_whole_edition_takes_is_told_by_processor_time():
    """On a machine that gave this process half of its time: a second of the processor is two by the clock."""
    alone, spread_out = 2.0, 5.0  # seconds a picture by the clock; two workers do 2 in 5 s
    measured, projected = tables(Cost(10.0, 1.0, alone, 0.5, spread_out, 2), Shape(2, 3, 6, 512), 70.0)
    assert f"| 16 cores like these | {(700_000 * 1.25 / 16 + 10) / 3600:.1f} hours |" in projected
    assert f"| 64 cores like these | {(700_000 * 1.25 / 64 + 10) / 3600:.1f} hours |" in projected
    assert "| 1 GPU, **assumed**: 70 pictures a second each | 2.8 hours |" in projected
    assert "| a picture: processor | 1.000 |" in measured


def test_entries_that_end_together_cost_what_they_took(monkeypatch, tmp_path):
    """Workers have styles of several entries under way, whose outcomes may all come at the end."""
    clock = [0.0]
    monkeypatch.setattr("benchmarks.spread.time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr("evaluator.scoring.scorer.Scorer", lambda *arguments: None)

    def taking(*seconds):
        def outcomes(paths, *arguments):
            for _, each in zip(paths, seconds):
                clock[0] += each
                yield SimpleNamespace(report=True, problems=())

        return outcomes

    monkeypatch.setattr("evaluator.scoring.batch.score_batch", taking(20, 10))  # ten of start
    monkeypatch.setattr("evaluator.scoring.spread.score_on_ray", taking(30, 0))  # as fast, on the same cores
    cost = measure(tmp_path, tmp_path, Shape(2, 1, 2, 32), 2, 2)
    assert (cost.start, cost.wall, cost.spread) == (10, 2.5, 5)
