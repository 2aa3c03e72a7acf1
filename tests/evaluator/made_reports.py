"""Makes reports with known figures, and the folders that `score` would write, without any network."""

import json
from dataclasses import replace

import numpy as np

from evaluator.analysis.cells import BOUNDED, Cells, cells_of, cells_to_scores
from evaluator.metrics.fid import features_to_moments, moments_to_fid
from evaluator.reporting.report import ImageScores, Pictures, Provenance, Report
from evaluator.scoring.formula import Scores

SEEN = ["whale", "shark", "penguin", "otter", "boat"]


def make_report(sizes, seed=0, name="demo", lpips=0.45, shift=0.0, hits=0.8) -> tuple[Report, Cells]:
    """One style a number in `sizes`, with so many pictures; `shift` moves the features away from the references.

    Two seeds give different figures to the same cells.
    """
    random = np.random.default_rng(seed)
    images = {f"{place:02d}": _images(random, size, lpips, hits) for place, size in enumerate(sizes)}
    mixing = np.random.default_rng(5).normal(size=(64, 64)) / 20
    references = np.random.default_rng(6).normal(size=(90, 64)) @ mixing
    stems = (random.normal(size=(sum(sizes), 64)) @ mixing + shift).astype(np.float32)
    real = features_to_moments(references)
    fid = moments_to_fid(real, features_to_moments(stems))
    provenance = Provenance(
        tool="jdart-eval",
        references=Pictures("refs", "ef" * 32),
        styles=list(images),
        as_is=False,
        complete=True,
        skipped=[],
        comparable=False,
        not_comparable_because=["the networks are miniature"],
        weights={"RN50.pt": "cd" * 32},
        versions={},
        device="cpu",
        precision="float32",
        seconds={},
    )
    nothing = Scores(**{**dict.fromkeys(Scores.__dataclass_fields__, 0.0), "fid": fid})
    submission = Pictures(name, f"{seed:02x}" * 32)
    report = Report("official-2024", "sample", submission, nothing, {}, {}, images, {}, None, provenance)
    return settle(report, stems, real)


def settle(report, stems=None, real=None) -> tuple[Report, Cells]:
    """The report with the scores that its pictures and features give."""
    if stems is not None:
        fid = moments_to_fid(real, features_to_moments(stems))
        report = replace(report, scores=replace(report.scores, fid=fid))
    cells = cells_of(report, stems, real)
    return replace(report, scores=cells_to_scores(cells)), cells


def change(made, edit) -> tuple[Report, Cells]:
    """Every picture's scores through `edit(style, name, scores)`; a picture for which it gives None is gone."""
    report, cells = made
    kept = {style: {n: edit(style, n, s) for n, s in images.items()} for style, images in report.images.items()}
    images = {style: {n: s for n, s in row.items() if s is not None} for style, row in kept.items()}
    images = {style: row for style, row in images.items() if row}
    stems = cells.stems
    if stems is not None:
        stems = stems[[row for row, (style, name) in enumerate(cells.keys) if name in images.get(style, {})]]
    return settle(replace(report, images=images), stems, cells.real)


def write(folder, made):
    """The report folder; returns it."""
    report, cells = made
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps(report.to_json()), "utf-8")
    if cells.stems is not None:
        mean, covariance = cells.real
        bounds = {} if cells.bounds is None else {f"{key}_bounds": _column(cells.bounds, key) for key in BOUNDED}
        np.savez(folder / "fid_features.npz", outputs=cells.stems, real_mean=mean, real_covariance=covariance, **bounds)
    return folder


def bound(made) -> tuple[Report, Cells]:
    """The report with bounds that differ from style to style and that no picture of it passes."""
    report, cells = made
    bounds = {
        style: {"dino": 0.6 + place / 100, "lpips": 0.1 + place / 1000} for place, style in enumerate(cells.styles)
    }
    return report, replace(cells, bounds=bounds)


def plain_scores(report) -> dict[str, float]:
    """The metrics of the report's pictures by loops, as the checker takes its means; FID as the report has it."""
    styles = [list(images.values()) for images in report.images.values()]

    def over_styles(value):
        return sum(sum(value(scores) for scores in row) / len(row) for row in styles) / len(styles)

    everything = [scores for row in styles for scores in row]
    return {
        "dino": over_styles(lambda scores: scores.dino),
        "hist": over_styles(lambda scores: scores.hist_rgb / 2 + scores.hist_hsv / 2),
        "lpips": over_styles(lambda scores: scores.lpips),
        "clip_iqa": over_styles(lambda scores: scores.clip_iqa),
        "clip_r": sum(scores.clip_r_correct for scores in everything) / len(everything),
        "fid": report.scores.fid,
    }


def formula(dino, hist, lpips, clip_iqa, clip_r, fid) -> dict[str, float]:
    """The published formula, written a second time."""
    style = dino / 5 + 2 * hist / 5 + 2 * max(0, 1 - lpips) / 5
    text, quality = clip_r / 2, (20 - min(fid, 20)) / 50 + clip_iqa / 10
    return {"style": style, "text": text, "quality": quality, "final": style * text + style * quality}


def _column(bounds, key):
    return np.array([own[key] for own in bounds.values()])


def _images(random, size, lpips, hits) -> dict[str, ImageScores]:
    images = {}
    for place in range(size):
        hit = bool(random.uniform() < hits)
        images[f"Noun {place:02d}.png"] = ImageScores(
            dino=float(random.normal(0.12, 0.08)),
            hist_rgb=float(random.normal(0.8, 0.1)),
            hist_hsv=float(random.normal(0.7, 0.1)),
            lpips=float(random.normal(lpips, 0.08)),
            clip_iqa=float(random.uniform(0.4, 1)),
            clip_r_correct=hit,
            clip_r_rank=1 if hit else 9,
            clip_r_top5=[f"noun {place:02d}", *SEEN[:4]] if hit else SEEN,
        )
    return images
