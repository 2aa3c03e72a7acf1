"""Pictures that are no whole entry: what one of them would be scored, whatever else is in the entry."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from evaluator.analysis.cells import MEASURED, Cells, images_to_cells
from evaluator.inputs.check import EntryRefused, Finding, Picture
from evaluator.inputs.images import BadPicture, inspect_png
from evaluator.metrics.base import Figures
from evaluator.metrics.fid import Moments, features_to_moments
from evaluator.scoring.assemble import figures_to_images
from evaluator.scoring.scorer import Scorer


def open_pictures(style: str, paths: Mapping[str, Path]) -> list[Picture]:
    """Pictures of a style by their names, such as Cat.png, in the order of names. Raises EntryRefused."""
    found, findings = [], []
    for name, path in sorted(paths.items()):
        data = path.read_bytes()
        try:
            found.append(Picture(style, name, path.read_bytes, inspect_png(data), hashlib.sha256(data).hexdigest()))
        except BadPicture as problem:
            findings.append(Finding(problem.code, f"{style}/{path}", str(problem)))
    if findings:
        raise EntryRefused(findings)
    return found


def real_moments(scorer: Scorer, styles: Iterable[str]) -> Moments:
    """Of the references of these styles together, which FID compares with."""
    kept = scorer.references.keep(list(styles), scorer.viewer, lambda stage, done, total: None)
    return features_to_moments(np.concatenate([kept["inception"][style]["features"] for style in styles]))


def pictures_to_cells(scorer: Scorer, pictures: Mapping[str, list[Picture]], real: Moments) -> Cells:
    """Pictures by style, each style's by name, as cells. Their FID is that of no entry, and NaN.

    What was looked at before, by any process with the same cache, is not looked at again.
    """
    figures, look = scorer.figures(dict(pictures), MEASURED, ("inception",))
    images = figures_to_images({**figures, "fid": Figures(None)})
    stems = np.stack([look.notes["inception"][picture] for found in pictures.values() for picture in found])
    return images_to_cells(images, float("nan"), stems, real)
