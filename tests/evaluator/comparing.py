"""What of two reports must be equal."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from evaluator import Report


def figures(report: Report) -> dict[str, object]:
    """Everything but what may differ between two runs."""
    data = report.to_json()
    del data["provenance"]["seconds"]
    return data


def numbers(value: object, path: str = "") -> dict[str, float]:
    """Every number of nested dictionaries by its path."""
    if isinstance(value, dict):
        return {k: v for key, item in value.items() for k, v in numbers(item, f"{path}/{key}").items()}
    return {path: float(value)} if isinstance(value, (int, float)) else {}


def assert_same_figures(one: Report, other: Report) -> None:
    """Scores, styles, pictures, extras and intervals within 1e-6, and what CLIP-R saw exactly."""
    first, second = (asdict(report) for report in (one, other))
    for part in ("scores", "styles", "images", "extras"):
        # a style's own FID is a difference of large numbers: 1e-6 of its size
        assert numbers(second[part]) == pytest.approx(numbers(first[part]), rel=1e-6, abs=1e-6)
    ends = [[report.intervals[key] for key in sorted(report.intervals)] for report in (one, other)]
    np.testing.assert_allclose(*ends, rtol=1e-5, atol=1e-5)
    for style, images in one.images.items():
        for name, scores in images.items():
            assert other.images[style][name].clip_r_top5 == scores.clip_r_top5
