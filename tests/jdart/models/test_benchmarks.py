"""The benchmarks run and say what they measured; how fast a machine is, is no promise of a test."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def quick(script, place, *options):
    """A quick run of a benchmark that ends well: what it says, and the figures it writes."""
    command = [sys.executable, ROOT / "benchmarks" / f"{script}.py", "--quick", "--json", place, *options]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout, json.loads(place.read_text())


def test_no_script_is_named_as_a_package():
    """Python looks into a script's own folder first: it would be imported in the package's place."""
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert {"jdart", "evaluator", "leaderboard"} <= packages
    assert not packages & {path.stem for path in (ROOT / "benchmarks").glob("*.py")}


@pytest.mark.slow
@pytest.mark.parametrize("script", ["training", "generation"])
def test_a_quick_run_reports_every_program_and_ratio(script, tmp_path):
    pytest.importorskip("peft")
    said, result = quick(script, tmp_path / "out.json")
    result = result["quick"]
    assert set(result["versions"]) == {"jittor", "torch", "diffusers", "peft", "transformers"}
    assert len(result["programs"]) == 4
    for figures in result["programs"].values():
        assert len(figures["turns"]) == 2
        assert 0 < figures["best"] <= figures["median"]
    assert set(result["ratios"]) == set(result["targets"]) == {"time against diffusers", "gain by encoding once"}
    assert "time against diffusers" in said


@pytest.mark.slow
def test_the_shares_of_a_step_in_small(tmp_path):
    said, result = quick("shares", tmp_path / "out.json")
    for name in ("a UNet call, batch 2", "a training step, rank 4"):
        assert {"3x3 convolutions", "products", "attention", "norms"} <= set(result[name])
        assert all(seconds >= 0 for seconds in result[name].values())
    assert "a training step, rank 4" in said


@pytest.mark.slow
def test_candidates_by_drafts_in_small(tmp_path):
    result = quick("candidates", tmp_path / "out.json")[1]["quick"]
    assert result["targets"] == {"time against one candidate": 3.5}
    assert 1 < result["ratios"]["time against one candidate"] < 9


@pytest.mark.slow
def test_the_full_size_in_small_names_what_will_not_run(tmp_path):
    pytest.importorskip("peft")
    cases = ("call, diffusers", "call, OpenVINO", "step, rank 4", "first picture")
    _, result = quick("full_size", tmp_path / "out.json", *(word for case in cases for word in ("--case", case)))
    rival = result.pop("call, OpenVINO")
    assert "openvino" in rival.get("error", "openvino")
    for case in result.values():
        assert case["processor"] and case["programs"]["jdart"]["best"] > 0 and case["ratios"]


@pytest.mark.slow
def test_without_a_gpu_the_script_for_one_says_so(tmp_path):
    pytest.importorskip("peft")
    rows = quick("gpu", tmp_path / "out.json")[1]["rows"]
    assert len(rows) == 8
    assert all("error" in row or row["best"] > 0 for row in rows)
    assert rows[-1]["program"] == "jdart-eval, cpu" and "error" not in rows[-1]


@pytest.fixture
def turns(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import turns

    return turns


def test_a_ratio_is_judged_against_its_limit_or_its_goal(turns):
    programs = {"a": {"best": 2.0}, "b": {"best": 4.0}}
    ratios = {"limit": ("b", "a", 1.0, False), "goal": ("b", "a", 1.5, True), "kept": ("a", "b", 1.0, False)}
    result = turns.compared(programs, ratios)
    assert result["ratios"] == {"limit": 2.0, "goal": 2.0, "kept": 0.5}
    assert result["missed"] == ["limit"]


def count(done):
    """A program's work: a line in a file for every unit."""
    while True:
        with open(done, "a") as out:
            out.write("unit\n")
        yield


def fail():
    raise ValueError("no weights")
    yield


def test_every_program_gets_its_turns_and_the_first_is_told_apart(turns, tmp_path):
    programs = {name: turns.Program(count, (tmp_path / name,)) for name in "ab"}
    found = turns.take_turns(programs, 3)
    for name in "ab":
        assert len(found[name]["turns"]) == 3
        assert (tmp_path / name).read_text().count("unit") == 1 + turns.WARM_UP + 3


def test_a_program_that_fails_is_named(turns):
    from contest.errors import UserError

    with pytest.raises(UserError, match="broken failed, .*ValueError: no weights"):
        turns.take_turns({"broken": turns.Program(fail, ())}, 1)
