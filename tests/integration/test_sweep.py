"""`jdart sweep` on a miniature contest: killed and gone on with, a style that failed, what is stopped, the winner."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import yaml
from PIL import Image

from evaluator.scoring.scorer import score_submission
from jdart.config import load_config

SPACE = {
    "train.learning_rate": {"low": 1.0e-3, "high": 2.0e-2, "log": True},
    "generate.guidance_scale": {"choices": [1.5, 2.0, 6.0]},
}
STYLES = ("00", "01", "02")


@pytest.fixture
def sweep(tmp_path, config, contest):
    """Path of a sweep over three styles; call with changes to write another."""
    (contest / "02" / "images").mkdir(parents=True)
    (contest / "02" / "prompt.json").write_text('{"0": "Fish", "1": "Sea"}')
    for number in range(3):
        pixels = np.random.default_rng([2, number]).integers(0, 255, (64, 64, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(contest / "02" / "images" / f"sand_{number}.png")

    def write(**changes):
        raw = {
            "base": config(),
            "output": str(tmp_path / "out"),
            "trials": 3,
            "prune": {"p_threshold": 0.3},
            "space": SPACE,
        }
        path = tmp_path / "sweep.yaml"
        path.write_text(yaml.safe_dump({**raw, **changes}))
        return path

    return write


def files(folder):
    """What was trained and drawn, with the times at which it was written."""
    found = [*folder.glob("trained/*/lora/*/*.safetensors"), *folder.glob("trials/*/images/*/*.png")]
    return {path.relative_to(folder): path.stat().st_mtime_ns for path in found}


def table(folder):
    with open(folder / "trials.csv", encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def without_seconds(rows):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def test_scored_stopped_and_told(jdart, sweep, tmp_path, capfd):
    out = tmp_path / "out"
    result = jdart("sweep", sweep(trials=5))
    assert result.exit_code == 0, result.output
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("trial ") and " trials" in line]
    assert [line.split()[1] for line in lines] == list("01234")

    rows = table(out)
    assert (rows[0]["train.learning_rate"], rows[0]["generate.guidance_scale"]) == ("0.005", "2.0"), "the base first"
    best = None
    for row in rows:
        finals = [float(row[f"final of {style}"]) for style in STYLES if row[f"final of {style}"]]
        beside = None if best is None else [float(best[f"final of {style}"]) for style in STYLES]
        loses = beside is not None and all(own < other for own, other in zip(finals[:2], beside))
        assert (row["state"], len(finals)) == (("stopped", 2) if loses else ("finished", 3)), "p = 0.25 below 0.3"
        if not loses and (best is None or float(row["final"]) > float(best["final"])):
            best = row
    alone = out / "trials" / "0000"
    one = score_submission(alone, styles=["01"], write=False)
    assert float(rows[0]["final of 01"]) == one.scores.final
    whole = json.loads((alone / "report" / "report.json").read_text())["scores"]
    assert {name: float(rows[0][name]) for name in whole} == whole

    for name in ("history.png", "parallel.png", "importance.png"):
        with Image.open(out / name) as picture:
            assert picture.width > 600
    said = result.output.splitlines()
    assert any(line.startswith(f"Best: trial {best['trial']}, Final ") for line in said)
    assert any(line.startswith("Not comparable with the contest's scores: ") for line in said)
    before = files(out)
    assert jdart("sweep", sweep(trials=5)).exit_code == 0
    assert files(out) == before and without_seconds(table(out)) == without_seconds(rows)


def test_the_winner_is_a_run_of_its_own(jdart, sweep, tmp_path):
    out = tmp_path / "out"
    assert jdart("sweep", sweep(trials=2), "--styles", "00,01").exit_code == 0
    best = max((row for row in table(out) if row["final"]), key=lambda row: float(row["final"]))
    config = load_config(str(out / "best.yaml"))
    assert config.train.learning_rate == float(best["train.learning_rate"])
    drawn = files(out)
    assert jdart("run", out / "best.yaml").exit_code == 0, "goes on to check and pack, in the trial's folder"
    assert files(out) == drawn
    assert (out / "trials" / f"{int(best['trial']):04}" / "entry.zip").is_file()
    assert jdart("run", out / "best.yaml", "--output", tmp_path / "anew").exit_code == 0
    anew = json.loads((tmp_path / "anew" / "report" / "report.json").read_text())["scores"]
    assert anew["final"] == float(best["final"])


def test_training_is_shared_where_only_drawing_differs(jdart, sweep, tmp_path):
    space = {"generate.guidance_scale": {"choices": [2.0, 6.0]}, "generate.strength": {"low": 0.5, "high": 1.0}}
    assert jdart("sweep", sweep(space=space), "--styles", "00,01").exit_code == 0
    out = tmp_path / "out"
    assert len(list(out.glob("trained/*"))) == 1 and len(list(out.glob("trials/*"))) == 3
    loras = {path.stat().st_ino for path in out.glob("trials/*/lora/00/*.safetensors")}
    assert len(loras) == 1, "a link takes no room"


KILLER = """
import os, signal, sys
import jdart.sweeping.bench as bench
draw, count = bench.timed_drawing, []

def counted(job):
    for event in draw(job):
        count.append(event)
        if len(count) == {pictures}:
            open({here!r}, "w").close()
            signal.pause()
        yield event

bench.timed_drawing = counted
from jdart.cli import main
main(sys.argv[1:])
"""


def test_killed_it_goes_on_with_the_very_same_trial(jdart, sweep, tmp_path):
    """Killed with seven pictures drawn: all four of the first trial, and of the second those of a style and a half."""
    here, arguments = tmp_path / "here", ("sweep", str(sweep(prune=None, trials=2)), "--styles", "00,01", "--output")
    code = KILLER.format(pictures=7, here=str(here))
    process = subprocess.Popen([sys.executable, "-c", code, *arguments, str(tmp_path / "killed")])
    try:
        until = time.monotonic() + 600
        while not here.exists():
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.1)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    killed = tmp_path / "killed"
    before = files(killed)
    assert sum(path.parts[0] == "trials" for path in before) == 7
    assert jdart(*arguments, killed).exit_code == 0
    after = files(killed)
    assert {path: after[path] for path in before} == before, "nothing is trained or drawn twice"
    assert jdart(*arguments, tmp_path / "whole").exit_code == 0
    assert without_seconds(table(killed)) == without_seconds(table(tmp_path / "whole"))
    for path in (tmp_path / "whole").glob("trials/*/images/*/*.png"):
        assert (killed / path.relative_to(tmp_path / "whole")).read_bytes() == path.read_bytes()


def test_a_style_that_failed_is_done_by_the_next_call(jdart, sweep, tmp_path, monkeypatch):
    import jdart.sweeping.bench as bench

    draw, out, arguments = (
        bench.timed_drawing,
        tmp_path / "out",
        ("sweep", sweep(prune=None, trials=2), "--styles", "00,01"),
    )

    def fail(job):
        for event in draw(job):
            if (job.folder.root.name, event.style, event.done) == ("0000", "01", 1):
                raise RuntimeError("the GPU fell off")
            yield event

    monkeypatch.setattr(bench, "timed_drawing", fail)
    result = jdart(*arguments)
    assert result.exit_code == 1
    assert "trial 0, 01 failed: RuntimeError: the GPU fell off (" in result.output
    assert [row["state"] for row in table(out)] == ["failed", "finished"]
    before = files(out)
    monkeypatch.undo()
    assert jdart(*arguments).exit_code == 0
    made = [path for path in files(out) if path not in before]
    assert [path.parent.name for path in made] == ["01"], "the second of its two pictures"
    assert {path: files(out)[path] for path in before} == before
    assert [row["state"] for row in table(out)] == ["finished", "finished"]


@pytest.mark.parametrize(
    ("arguments", "changes", "said"),
    [
        (("--trials", "0"), {}, "--trials 0: take 1 or more"),
        (("--set", "score.weights=null"), {}, "score.weights: not set"),
        (("--styles", "09"), {}, "09"),
        ((), {"space": {"data.size": {"choices": [32, 33]}}}, "space.data.size: data.size: 33 is not a multiple"),
        ((), {"space": {"generate.steps": {"low": 2, "high": 5000}}}, "space.generate.steps: generate.steps: "),
        ((), {"space": {"generate.x": {"choices": [1, 2]}}}, "generate.x: unknown setting"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_made(arguments, changes, said, jdart, sweep, tmp_path):
    result = jdart("sweep", sweep(**changes), *arguments)
    assert result.exit_code == 2
    assert said in result.stderr.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_another_space_is_refused(jdart, sweep, tmp_path):
    assert jdart("sweep", sweep(trials=1), "--styles", "00").exit_code == 0
    before = files(tmp_path / "out")
    result = jdart("sweep", sweep(trials=1, space={"lora.r": {"choices": [2, 4]}}), "--styles", "00")
    assert result.exit_code == 2 and "was made with other settings (space.generate.guidance_scale: " in result.stderr
    assert jdart("sweep", sweep(trials=1), "--styles", "00,01").exit_code == 2
    assert files(tmp_path / "out") == before
