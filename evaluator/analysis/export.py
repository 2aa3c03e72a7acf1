"""An explanation or a comparison as JSON, or as a frame, for other programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from evaluator.analysis.compare import Comparison, Difference
from evaluator.analysis.explain import Explanation
from evaluator.reporting.frame import TEXT, columns_of, to_frame, values_of
from evaluator.scoring.formula import TERMS

if TYPE_CHECKING:
    from pandas import DataFrame

EXPLANATION = {
    "style": TEXT,
    "image": TEXT,
    "share": "float64",
    **dict.fromkeys(TERMS, "float64"),
    "gain": "float64",
    "gain_metric": TEXT,
    "missed_at_rank": "Int64",
    "seen_instead": TEXT,
}
COMPARISON = columns_of(Difference)


def explanation_to_json(found: Explanation, top: int) -> str:
    """Everything, with the first `top` gains."""
    return _json({**asdict(found), "gains": [asdict(gain) for gain in found.top_gains(top)]})


def explanation_to_frame(found: Explanation) -> DataFrame:
    """One row a picture: its share of Final, the parts of it, its gain, and what CLIP-R saw where it missed."""
    gains = {(gain.style, gain.name): gain for gain in found.gains}
    misses = {(miss.style, miss.name): miss for miss in found.misses}
    rows = []
    for row in found.pictures:
        gain, miss = gains[row.style, row.name], misses.get((row.style, row.name))
        missed = (None, None) if miss is None else (miss.rank, "|".join(miss.seen))
        parts = (row.parts[term] for term in TERMS)
        rows.append((row.style, row.name, row.share, *parts, gain.gain, gain.metric, *missed))
    return to_frame(EXPLANATION, rows)


def comparison_to_json(found: Comparison) -> str:
    """Everything."""
    return _json(asdict(found))


def comparison_to_frame(found: Comparison) -> DataFrame:
    """One row a difference; those over everything have an empty style."""
    return to_frame(COMPARISON, map(values_of, found.differences))


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, allow_nan=False) + "\n"
