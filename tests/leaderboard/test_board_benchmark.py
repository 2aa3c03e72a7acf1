"""The benchmark runs and says what it measured; how fast a machine is, is no promise of a test."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def test_tiny_case_reports_every_figure(tmp_path):
    place = tmp_path / "out.json"
    command = [sys.executable, BENCHMARKS / "board.py", "--entries", "3", "--styles", "2", "--pictures", "2"]
    env = {**os.environ, "PYTHONPATH": str(BENCHMARKS.parent)}
    done = subprocess.run([*command, "--json", place], capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(place.read_text())
    assert set(result["programs"]) == {"build", "build again", "add"}
    assert all(cost["seconds"] > 0 for cost in result["programs"].values())
    assert (result["entries"], result["targets"], result["missed"]) == (4, {}, [])  # a trial is not judged
    assert 0 < result["index_bytes"] < result["site_bytes"]
    assert "build again" in done.stdout
    assert result["processor"].split()[0] in done.stdout


def test_a_missed_target_is_said_and_ends_with_1(monkeypatch):
    from click.testing import CliRunner

    benchmark = load(monkeypatch)
    result = {"missed": ["add_seconds"]}
    monkeypatch.setattr(benchmark, "run", lambda shape, scratch: result)
    monkeypatch.setattr(benchmark, "show", lambda result: None)
    assert CliRunner().invoke(benchmark.main, []).exit_code == 1
    result["missed"] = []
    assert CliRunner().invoke(benchmark.main, []).exit_code == 0


def test_growth_is_judged_by_both_boards(monkeypatch, capsys):
    benchmark = load(monkeypatch)
    seconds = {200: (60.0, 4.0), 1000: (270.0, 5.0)}

    def run(shape, scratch):
        build, add = seconds[shape.entries]
        board = {"shape": vars(shape), "processor": "a processor", "load_before": 0.0, "programs": {}, "files": 1}
        return {
            **board,
            "build_seconds": build,
            "add_seconds": add,
            "index_bytes": 900_000,
            "thumbnails": 1,
            "site_bytes": 1,
        }

    monkeypatch.setattr(benchmark, "run", run)
    result = benchmark.run_scale(benchmark.Shape(), None)
    assert (result["build_ratio"], result["add_ratio"], result["missed"]) == (4.5, 1.25, ["build_ratio"])
    benchmark.show(result)
    shown = capsys.readouterr().out
    assert "200 entries" in shown and "1000 entries" in shown and "build_ratio (4): 4.5, missed" in shown
    seconds[40], seconds[200] = (10.0, 1.0), (60.0, 4.0)
    assert benchmark.run_scale(benchmark.Shape(entries=40), None)["targets"] == {}  # a trial is not judged


@pytest.mark.parametrize("number", [0, 1, 70, 100_000, 2**40])
def test_pictures_of_the_benchmark_are_real_and_differ(monkeypatch, tmp_path, number):
    painter = load(monkeypatch).Painter(tmp_path)
    data = painter.make(number)
    assert data != painter.make(number + 16)  # made from the same one
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        assert image.size == (160, 160)


def load(monkeypatch):
    """The benchmark as a module; its name is that of the package."""
    import importlib.util

    monkeypatch.syspath_prepend(str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location("board_benchmark", BENCHMARKS / "board.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "board_benchmark", module)
    spec.loader.exec_module(module)
    return module
