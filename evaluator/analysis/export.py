"""An explanation or a comparison as JSON or CSV text, for other programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, astuple, fields
from typing import Any

from evaluator.analysis.compare import Comparison, Difference
from evaluator.analysis.explain import TERMS, Explanation


def explanation_to_json(found: Explanation, top: int) -> str:
    """Everything, with the first `top` gains."""
    return _json({**asdict(found), "gains": [asdict(gain) for gain in found.top_gains(top)]})


def explanation_to_csv(found: Explanation) -> str:
    """One row a picture: its share of Final, the parts of it, its gain, and what CLIP-R saw where it missed."""
    gains = {(gain.style, gain.name): gain for gain in found.gains}
    misses = {(miss.style, miss.name): miss for miss in found.misses}
    rows = []
    for row in found.pictures:
        gain, miss = gains[row.style, row.name], misses.get((row.style, row.name))
        missed = ("", "") if miss is None else (miss.rank, "|".join(miss.seen))
        parts = (row.parts[term] for term in TERMS)
        rows.append((row.style, row.name, row.share, *parts, gain.gain, gain.metric, *missed))
    header = ("style", "image", "share", *TERMS, "gain", "gain_metric", "missed_at_rank", "seen_instead")
    return _csv(header, rows)


def comparison_to_json(found: Comparison) -> str:
    """Everything."""
    return _json(asdict(found))


def comparison_to_csv(found: Comparison) -> str:
    """One row a difference; those over everything have an empty style."""
    return _csv([item.name for item in fields(Difference)], (astuple(row) for row in found.differences))


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, allow_nan=False) + "\n"


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([value + 0.0 if isinstance(value, float) else value for value in row] for row in rows)
    return stream.getvalue()
