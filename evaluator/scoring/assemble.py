"""Metrics' figures -> the tables of a report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from contest.errors import UserError
from evaluator.metrics import OFFICIAL
from evaluator.metrics.base import Figures, Metric
from evaluator.reporting.report import Extra, ImageScores, StyleScores
from evaluator.scoring.formula import Scores, metrics_to_scores

_KEYS = tuple(kind.key for kind in OFFICIAL)


def figures_to_scores(figures: Mapping[str, Figures]) -> Scores:
    """The official six and the formula over them. Raises UserError when a figure is not finite."""
    return metrics_to_scores(**{key: _total(key, figures[key]) for key in _KEYS})


def figures_to_corrected(figures: Mapping[str, Figures]) -> Scores | None:
    """The same with the corrected histogram and CLIP-IQA in place of the checker's; None unless both are there."""
    if "hist_true" not in figures or "clip_iqa_unit" not in figures:
        return None
    instead = {"hist": figures["hist_true"], "clip_iqa": figures["clip_iqa_unit"]}
    return figures_to_scores({**figures, **instead})


def figures_to_styles(figures: Mapping[str, Figures], counts: Mapping[str, int]) -> dict[str, StyleScores]:
    """One row per style of `counts`, which says how many images it has."""
    rows: dict[str, dict[str, Any]] = {style: {"images": count} for style, count in counts.items()}
    for key in _KEYS:
        for style, values in figures[key].styles.items():
            rows[style].update(values)
    return {style: StyleScores(**values) for style, values in rows.items()}


def figures_to_images(figures: Mapping[str, Figures]) -> dict[str, dict[str, ImageScores]]:
    """One row per style and picture. Raises UserError when a figure is not finite."""
    rows: dict[str, dict[str, dict[str, Any]]] = {}
    for key in _KEYS:
        for style, images in figures[key].images.items():
            for name, values in images.items():
                rows.setdefault(style, {}).setdefault(name, {}).update(values)
    for images in rows.values():
        for values in images.values():
            for key, value in values.items():
                if isinstance(value, float):
                    _finite(key, value)
    return {
        style: {name: ImageScores(**values) for name, values in sorted(images.items())}
        for style, images in rows.items()
    }


def figures_to_extras(figures: Mapping[str, Figures], metrics: Sequence[Metric]) -> dict[str, Extra]:
    """Everything beside the official six, under the names that the figures have."""
    extras: dict[str, Extra] = {}
    for metric in metrics:
        if metric.key in _KEYS:
            continue
        own = figures[metric.key]
        keys = [metric.key, *(key for values in own.styles.values() for key in values)]
        keys += [key for images in own.images.values() for values in images.values() for key in values]
        for key in dict.fromkeys(keys):
            extras[key] = Extra(
                label=metric.label,
                total=own.total if key == metric.key else None,
                styles={style: values[key] for style, values in own.styles.items() if key in values},
                images={
                    style: {name: values[key] for name, values in images.items() if key in values}
                    for style, images in own.images.items()
                },
            )
    return extras


def _total(key: str, figures: Figures) -> float:
    if figures.total is None:
        raise ValueError(f"{key} has no total")
    return _finite(key, figures.total)


def _finite(key: str, value: float) -> float:
    if not math.isfinite(value):
        raise UserError(f"{key}: not a finite number; the weights are damaged, fetch them again")
    return value
