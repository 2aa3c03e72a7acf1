"""The evaluator as the judge of candidates: of sketches by the cheap metrics, of pictures by all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from contest.errors import needs
from jdart.runs.job import Job

if TYPE_CHECKING:
    from evaluator.inputs.references import References
    from evaluator.scoring.formula import Scores
    from evaluator.scoring.scorer import Scorer

CHEAP = ("hist", "lpips")

Looks = dict[str, dict[int, dict[str, float]]]  # prompt -> number of a candidate -> what the cheap metrics say


def scorer_of(job: Job, device: str, references: References | None = None) -> Scorer:
    """What scores with the job's weights and profile, by its references or others; networks are loaded when needed."""
    from contest.disk.shipped import references_folder

    with needs("eval"):
        from evaluator.inputs.refpack import open_references
        from evaluator.scoring.scorer import Options, Scorer

    if references is None:
        references = open_references(references_folder(job.config.references), job.config.contest)
    options = Options(job.config.score.profile, device=device)
    return Scorer(references, Path(str(job.config.score.weights)), options)


def look_at_sketches(scorer: Scorer, style: str, sketches: Mapping[int, Mapping[str, Path]]) -> Looks:
    """Number of a candidate -> prompt -> its sketch, as the cheap metrics find them."""
    from evaluator.scoring.parts import open_pictures

    names = {f"{number}/{prompt}.png": (number, prompt) for number, found in sketches.items() for prompt in found}
    paths = {name: sketches[number][prompt] for name, (number, prompt) in names.items()}
    figures, _ = scorer.figures({style: open_pictures(style, paths)}, CHEAP)
    looks: Looks = {}
    for name, (number, prompt) in names.items():
        hist, lpips = (figures[key].images[style][name] for key in CHEAP)
        looks.setdefault(prompt, {})[number] = {
            "hist": (hist["hist_rgb"] + hist["hist_hsv"]) / 2,
            "lpips": lpips["lpips"],
        }
    return looks


def score_pictures(scorer: Scorer, paths: Mapping[str, Mapping[str, Path]]) -> Scores:
    """The scores of an entry of these pictures, style -> name -> file."""
    from evaluator.metrics import OFFICIAL
    from evaluator.scoring.assemble import figures_to_scores
    from evaluator.scoring.parts import open_pictures

    pictures = {style: open_pictures(style, own) for style, own in sorted(paths.items())}
    return figures_to_scores(scorer.figures(pictures, [kind.key for kind in OFFICIAL])[0])


def look_at_drafts(scorer: Scorer, style: str, drafts: Mapping[int, Mapping[str, Path]]) -> Looks:
    """Number of a candidate -> prompt -> its draft, as all metrics find them.

    `worth` is what a picture adds to Final, which is linear in each picture's part of its two factors; FID and the
    factors are those of all drafts together.
    """
    import numpy as np

    from evaluator.analysis.cells import MEASURED
    from evaluator.metrics.fid import features_to_moments, moments_to_fid
    from evaluator.scoring.formula import metrics_to_scores
    from evaluator.scoring.parts import open_pictures, pictures_to_cells, real_moments

    real = real_moments(scorer, [style])
    cells = {
        number: pictures_to_cells(
            scorer, {style: open_pictures(style, {f"{prompt}.png": path for prompt, path in own.items()})}, real
        )
        for number, own in drafts.items()
    }
    stems = np.concatenate([each.stems for each in cells.values() if each.stems is not None])
    fid = float(moments_to_fid(real, features_to_moments(stems)))
    means = {key: float(np.mean([each.values[key] for each in cells.values()])) for key in MEASURED}
    together = metrics_to_scores(fid=fid, **means)
    looks: Looks = {}
    for number, each in cells.items():
        for row, name in enumerate(each.names):
            figures = {key: float(each.values[key][row]) for key in MEASURED}
            own = metrics_to_scores(fid=fid, **figures)
            rest = together.text + together.quality
            gain = own.style * rest + together.style * (own.text + own.quality)
            looks.setdefault(name[: -len(".png")], {})[number] = {**figures, "worth": gain}
    return looks


def worth(look: Mapping[str, float]) -> float:
    """Of a draft what it adds to Final; of a sketch what two metrics give to its left side, weighing the same."""
    return look["worth"] if "worth" in look else look["hist"] - look["lpips"]
