"""Every figure that the organisers' own checker gave on the fixture contest, within the agreed tolerances."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

OFFICIAL = json.loads((Path(__file__).parent / "official-2024.json").read_text("utf-8"))


@pytest.mark.parametrize(
    ("field", "key", "tolerance"),
    [
        ("dino", "dino_score", 5e-6),
        ("hist", "hist_score", 1e-9),
        ("fid", "fid_score", 1e-4),
        ("lpips", "lpip_score", 5e-6),
        ("clip_iqa", "clip_iqa_score", 1e-4),
        ("clip_r", "clip_r_score", 0),
        ("style", "style_component", 1e-5),
        ("text", "text_component", 0),
        ("quality", "quality_component", 1e-5),
        ("final", "final", 1e-5),
    ],
)
def test_totals(report, field, key, tolerance):
    assert getattr(report.scores, field) == pytest.approx(OFFICIAL["scores"][key], rel=0, abs=tolerance)


@pytest.mark.parametrize(("field", "tolerance"), [("hist", 1e-9), ("lpips", 5e-6), ("clip_iqa", 1e-4)])
def test_styles(report, field, tolerance):
    official = {style: value for style, value in OFFICIAL[f"{field}_by_style"].items() if style != "total"}
    ours = {style: getattr(scores, field) for style, scores in report.styles.items()}
    assert ours == pytest.approx(official, rel=0, abs=tolerance)


@pytest.mark.parametrize(("field", "tolerance"), [("dino", 5e-6), ("clip_iqa", 1e-4)])
@pytest.mark.parametrize("style", ["00", "01"])
def test_images(report, style, field, tolerance):
    ours = {name: getattr(scores, field) for name, scores in report.images[style].items()}
    assert ours == pytest.approx(OFFICIAL[f"{field}_by_image"][style], rel=0, abs=tolerance)


@pytest.mark.parametrize("style", ["00", "01"])
def test_clip_r_names(report, style):
    assert {name: scores.clip_r_top5 for name, scores in report.images[style].items()} == OFFICIAL["clip_r_top5"][style]


def test_images_add_up_to_styles_and_totals(report):
    for style, scores in report.styles.items():
        images = list(report.images[style].values())
        assert scores.images == len(images) == 6
        for field in ("dino", "hist_rgb", "hist_hsv", "lpips", "clip_iqa"):
            mean = sum(getattr(image, field) for image in images) / len(images)
            assert getattr(scores, field) == pytest.approx(mean, abs=1e-12)
        assert scores.hist == pytest.approx((scores.hist_rgb + scores.hist_hsv) / 2, abs=1e-12)
        assert scores.clip_r == sum(image.clip_r_correct for image in images) / len(images)
        for image in images:
            assert image.clip_r_correct == (image.clip_r_rank <= 5)


def test_provenance_is_honest_about_miniature_weights(report):
    provenance = report.provenance
    assert provenance.complete
    assert not provenance.comparable
    assert any("miniature" in reason for reason in provenance.not_comparable_because)
    assert len(provenance.weights) == 12
    assert all(len(digest) == 64 for digest in provenance.weights.values())
