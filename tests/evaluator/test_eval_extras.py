"""What stands beside Final and never enters it; and what must not change any figure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import jsonschema
import pytest
from comparing import assert_same_figures

from contest.errors import UserError
from evaluator import score_submission
from evaluator.metrics import EXTRAS
from evaluator.reporting import report as module
from evaluator.reporting.report import read_report, report_schema
from evaluator.scoring.formula import metrics_to_scores


@pytest.fixture(scope="module")
def full(pack: Path, contest: Path):
    """Scored with every extra."""
    return score_submission(
        contest / "outputs", references=contest / "references", weights=pack, extras=list(EXTRAS), write=False
    )


def test_extras_do_not_enter_final(full, report):
    assert full.scores == report.scores
    assert full.styles == report.styles
    assert full.images == report.images
    assert report.corrected is None
    assert set(report.extras) == {"kid", "style_fid"}
    assert "unofficial" in report.extras["style_fid"].label
    assert report.extras["style_fid"].total is None


def test_corrected_final_is_the_formula_over_the_corrected_metrics(full):
    scores = asdict(full.scores)
    given = {key: scores[key] for key in ("dino", "fid", "lpips", "clip_r")}
    hist, quality = full.extras["hist_true"], full.extras["clip_iqa_unit"]
    assert full.corrected == metrics_to_scores(**given, hist=hist.total, clip_iqa=quality.total)
    assert hist.total != full.scores.hist
    assert quality.total != full.scores.clip_iqa
    for style, value in hist.styles.items():
        parts = [full.extras[f"hist_true_{part}"].images[style].values() for part in ("rgb", "hsv")]
        assert value == pytest.approx(sum(sum(part) / len(part) for part in parts) / 2)


def test_unit_clip_iqa_equals_torchmetrics_arithmetic_on_unit_pixels(full, pack, contest):
    """The same network and anchors, pixels as ToTensor gives them."""
    import numpy as np
    import torch
    from PIL import Image
    from torchvision.transforms.functional import to_tensor

    from evaluator.backbones.rn50 import Rn50Images, Rn50Texts
    from evaluator.weights import folder as files

    network = Rn50Images(pack / files.RN50, "cpu")
    with Image.open(contest / "outputs" / "00" / "Dog.png") as image:
        features = torch.tensor(network.features(to_tensor(image)[None].numpy()))
    anchors = torch.tensor(
        Rn50Texts(pack / files.RN50, pack / files.CLIP, "cpu").features(["Good photo.", "Bad photo."])
    )
    units = torch.nn.functional.normalize(features), torch.nn.functional.normalize(anchors)
    expected = float((100 * units[0] @ units[1].T).softmax(1)[0, 0])
    assert full.extras["clip_iqa_unit"].images["00"]["Dog.png"] == pytest.approx(expected, abs=1e-5)
    assert np.isfinite(expected)


def test_every_report_is_valid_by_the_published_schema(full, report):
    published = json.loads((Path(module.__file__).parent / "report.schema.json").read_text("utf-8"))
    assert published == json.loads(json.dumps(report_schema())), "write it anew: see CONTRIBUTING.md"
    validator = jsonschema.Draft202012Validator(published)
    validator.check_schema(published)
    for each in (full, report):
        validator.validate(json.loads(json.dumps(each.to_json())))
    broken = report.to_json()
    broken["scores"]["final"] = "high"
    assert [error.json_path for error in validator.iter_errors(broken)] == ["$.scores.final"]


def test_reports_are_read_back(full, tmp_path):
    path = tmp_path / "report" / "report.json"
    path.parent.mkdir()
    path.write_text(json.dumps(full.to_json()), "utf-8")
    assert read_report(path) == read_report(path.parent) == read_report(tmp_path) == full


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_do_not_change_figures(pack, contest, report, tmp_path, threads):
    arguments = ["score", contest / "outputs", "--references", contest / "references", "--weights", pack]
    arguments += ["--no-cache", "--threads", threads, "--out", tmp_path / "report"]
    subprocess.run(
        [sys.executable, "-c", "from evaluator.cli import main; main()", *map(str, arguments)],
        check=True,
        capture_output=True,
        env={name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"},
    )
    other = read_report(tmp_path / "report")
    assert_same_figures(other, report)


def test_half_precision_is_for_cuda_and_never_comparable(pack, contest, monkeypatch):
    import torch

    from evaluator import arithmetic
    from evaluator.scoring import scorer as evaluate

    given = {"references": contest / "references", "weights": pack, "write": False, "precision": "float16"}
    with pytest.raises(UserError, match="float16 gains nothing on a CPU"):
        score_submission(contest / "outputs", **given)
    with arithmetic.arithmetic("cpu", "float16"):
        assert torch.is_autocast_enabled("cpu")
        assert torch.get_autocast_dtype("cpu") == torch.float16
    with arithmetic.arithmetic("cpu", "float32"):
        assert not torch.is_autocast_enabled("cpu")
    # there is no GPU here: what the report says is tested with the networks in float32
    monkeypatch.setattr(evaluate, "require_device", lambda device, precision: None)
    monkeypatch.setattr("evaluator.extractors.networks.arithmetic", lambda device, precision: nullcontext())
    other = score_submission(contest / "outputs", **given)
    assert other.provenance.precision == "float16"
    assert "calculated in float16" in other.provenance.not_comparable_because


def test_misuse(pack, contest, tmp_path):
    given = {"references": contest / "references", "weights": pack, "write": False}
    with pytest.raises(UserError, match=r"extra 'beauty' is not known; choose from: corrected, aesthetic"):
        score_submission(contest / "outputs", extras=["beauty"], **given)
    with pytest.raises(UserError, match="precision 'float8' is not known"):
        score_submission(contest / "outputs", precision="float8", **given)
    import shutil

    bare = Path(shutil.copytree(pack, tmp_path / "bare"))
    shutil.rmtree(bare / "aesthetic")
    with pytest.raises(UserError, match="weights pull .* --with aesthetic"):
        score_submission(contest / "outputs", extras=["aesthetic"], **{**given, "weights": bare})
