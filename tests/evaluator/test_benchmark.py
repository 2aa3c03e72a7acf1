"""The benchmark's re-enactment of the checker: it gives the evaluator's figures, by other libraries, and does the
work it is said to do."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module, metadata
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from contest.errors import UserError
from evaluator import score_submission

pytest.importorskip("torch_fidelity")
pytest.importorskip("torchmetrics")
pytest.importorskip("transformers")

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
NEWER_PROCESSORS = int(metadata.version("transformers").split(".")[0]) >= 5
NEWER_RESIZE = tuple(int(part) for part in metadata.version("torchmetrics").split(".")[:2]) >= (1, 8)


@pytest.fixture(scope="module")
def modules():
    """The benchmark's modules by name; its folder is no package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        yield {name: import_module(name) for name in ("checker", "floor", "local_hub", "workload")}


@pytest.fixture(scope="module")
def run(modules, pack, contest):
    """The re-enactment's figures on the fixture contest, and the operations it took."""
    checker = modules["checker"]
    with FlopCounterMode(display=False) as counter:
        result = checker.check(pack, checker.read_contest(contest / "references", contest / "outputs"))
    return result, counter.get_total_flops()


@pytest.fixture(scope="module")
def newer(pack, contest):
    """The evaluator's report in the profile of the newer libraries."""
    folders = {"references": contest / "references", "weights": pack}
    return score_submission(contest / "outputs", **folders, profile="official-2025", cache=False, write=False)


def figures_by_image(images, key):
    return {(style, name): figures[key] for style, table in images.items() for name, figures in table.items()}


def ours_by_image(report, key):
    return {(style, name): getattr(row, key) for style, table in report.images.items() for name, row in table.items()}


@pytest.mark.parametrize(("key", "tolerance"), [("hist", 1e-9), ("lpips", 5e-6), ("clip_iqa", 1e-4), ("clip_r", 0)])
def test_scores_that_no_version_moves(run, report, key, tolerance):
    assert run[0]["scores"][key] == pytest.approx(getattr(report.scores, key), rel=0, abs=tolerance)


@pytest.mark.skipif(
    not (NEWER_PROCESSORS and NEWER_RESIZE), reason="the installed libraries are not those of official-2025"
)
@pytest.mark.parametrize(
    ("key", "tolerance"),
    [("dino", 5e-6), ("hist", 1e-9), ("fid", 1e-4), ("lpips", 5e-6), ("clip_iqa", 1e-4), ("clip_r", 0)],
)
def test_scores_of_the_newer_profile(run, newer, key, tolerance):
    assert run[0]["scores"][key] == pytest.approx(getattr(newer.scores, key), rel=0, abs=tolerance)


@pytest.mark.skipif(
    not (NEWER_PROCESSORS and NEWER_RESIZE), reason="the installed libraries are not those of official-2025"
)
@pytest.mark.parametrize(
    ("key", "tolerance"), [("dino", 5e-6), ("hist_rgb", 1e-9), ("hist_hsv", 1e-9), ("clip_iqa", 1e-4)]
)
def test_pictures_of_the_newer_profile(run, newer, key, tolerance):
    expected = ours_by_image(newer, key)
    assert len(expected) == 12
    assert figures_by_image(run[0]["images"], key) == pytest.approx(expected, rel=0, abs=tolerance)


@pytest.mark.skipif(not NEWER_PROCESSORS, reason="the installed transformers is not that of official-2025")
@pytest.mark.parametrize("key", ["clip_r_top5", "clip_r_correct"])
def test_names_of_the_newer_profile(run, newer, key):
    assert figures_by_image(run[0]["images"], key) == ours_by_image(newer, key)


def test_lpips_of_each_style(run, report):
    ours = {style: row.lpips for style, row in report.styles.items()}
    theirs = {style: row["lpips"] for style, row in run[0]["styles"].items()}
    assert theirs == pytest.approx(ours, rel=0, abs=5e-6)


def test_the_work_is_that_of_the_schedule(modules, pack, run):
    """Counted in the run itself, against one forward of each network times the schedule's number of them.

    What the sum leaves out, LPIPS' linear heads and the two anchors of CLIP-IQA, is a quarter of a percent; older
    versions of PyTorch do not count attention where it is one kernel, which is two percent.
    """
    floor, shape = modules["floor"], modules["workload"].Shape(styles=2, references=4, outputs=6, size=256)
    expected = floor.work(floor.forwards(pack, shape.size), floor.checkers(shape))
    assert 0.97 * expected < run[1] < 1.005 * expected


def test_least_work_sees_each_picture_once(modules):
    floor, shape = modules["floor"], modules["workload"].Shape(styles=15, references=10, outputs=25, size=512)
    assert floor.least(shape) == {
        "dino": 525,
        "clip_image": 375,
        "clip_text": 215,
        "rn50": 375,
        "inception": 525,
        "squeezenet": 525,
    }
    often = floor.checkers(shape)
    assert (often["dino"], often["squeezenet"], often["rn50"], often["clip_text"]) == (7500, 7500, 750, 80625)


def test_only_the_stem_has_numbers(modules, pack):
    """The rest of the FID network is NaN, so a finite FID says that it did not run."""
    state = modules["local_hub"].whole_inception(pack / modules["local_hub"].INCEPTION)
    finite = {name.split(".")[0] for name, tensor in state.items() if torch.isfinite(tensor).all()}
    assert {"Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3"} == finite
    assert len(state) > 500


def test_fid_is_finite(run):
    assert np.isfinite(run[0]["scores"]["fid"])


def test_peak_memory_and_time_of_a_child(modules, tmp_path):
    measure = modules["workload"].measure
    large = measure(
        [sys.executable, "-c", "import time; x = b'1' * 300_000_000; time.sleep(0.3)"], tmp_path / "log", {}
    )
    assert large.peak > 3e8
    assert 0.3 < large.seconds < 30


def test_a_child_that_fails_is_reported(modules, tmp_path):
    with pytest.raises(UserError, match=r"log ended with exit code 3, .*: the last word"):
        modules["workload"].measure(
            [sys.executable, "-c", "print('first'); print('the last word'); raise SystemExit(3)"], tmp_path / "log", {}
        )


def test_drawn_pictures_follow_the_seed(modules, tmp_path):
    shape = modules["workload"].Shape(styles=1, references=1, outputs=2, size=64)
    drawn = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        modules["workload"].draw_contest(tmp_path / name, shape, seed)
        drawn.append({path.name: path.read_bytes() for path in (tmp_path / name).rglob("*.png")})
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]
    assert len(drawn[0]) == 3


@pytest.mark.slow
def test_both_programs_side_by_side(pack, tmp_path):
    place = tmp_path / "out.json"
    options = ["--case", "board", "--styles", "1", "--references", "2", "--outputs", "2", "--size", "64"]
    command = [sys.executable, str(BENCHMARKS / "scoring.py"), *options, "--weights", str(pack), "--json", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    board = json.loads(place.read_text("utf-8"))["board"]
    assert board["shape"] == {"styles": 1, "references": 2, "outputs": 2, "size": 64}
    assert board["ratio"] == pytest.approx(
        board["programs"]["checker"]["seconds"] / board["programs"]["jdart-eval"]["seconds"]
    )
    for key in ("hist", "lpips", "clip_r"):
        theirs, ours = board["scores"][key]
        assert theirs == pytest.approx(ours, abs=5e-6)
    assert board["targets"] == {}
