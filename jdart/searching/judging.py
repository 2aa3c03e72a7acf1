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

    known = open_references(references_folder(job.config.references)) if references is None else references
    options = Options(job.config.score.profile, device=device)
    return Scorer(known, Path(str(job.config.score.weights)), options)


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


def worth(look: Mapping[str, float]) -> float:
    """What the two metrics give to Final's left side, where they weigh the same."""
    return look["hist"] - look["lpips"]
