"""How metrics and names are written in the tables and plots of `explain` and `compare`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from contest.numbers import decimal
from evaluator.scoring.formula import Scores

LABELS = {
    "dino": "DINO",
    "hist": "Hist",
    "lpips": "LPIPS",
    "clip_r": "CLIP-R",
    "fid": "FID",
    "clip_iqa": "CLIP-IQA",
    "style": "Style",
    "text": "Text",
    "quality": "Quality",
    "final": "Final",
}


def plain(name: str, width: int | None = None) -> str:
    """A name from a report as one line of printable text, cut to `width` characters."""
    text = "".join(letter if letter.isprintable() else "?" for letter in name)
    return text if width is None or len(text) <= width else text[: width - 1] + "…"


def picture(name: str) -> str:
    """A picture's file name without its ".png", printable."""
    return plain(name[: -len(".png")] if name.endswith(".png") else name)


def not_comparable(reasons: Iterable[str]) -> str:
    """One line, for an entry with any `reasons`."""
    return f"Not comparable with the contest's scores: {'; '.join(plain(reason) for reason in reasons)}"


def caveats(a: Sequence[str], b: Sequence[str], notes: Iterable[str]) -> list[str]:
    """What must be read before the figures of a comparison, a line each; `a` and `b`: why they are not comparable."""
    reasons = {"A": a, "B": b}
    if reasons["A"] == reasons["B"]:
        reasons = {"A and B": reasons["A"]}
    lines = [f"{sides}: {not_comparable(why)}" for sides, why in reasons.items() if why]
    return lines + [f"Note: {plain(note)}" for note in notes]


def reached(share: float | None) -> str:
    """How much of the way to a bound is done."""
    return "-" if share is None else f"{decimal(100 * share, 1)} %"


def style_formula(scores: Scores) -> str:
    """What Final is the product of."""
    style, text, quality = (decimal(value, 4) for value in (scores.style, scores.text, scores.quality))
    return f"Style {style} x (Text {text} + Quality {quality})"


def metric_value(metric: str, value: float) -> str:
    """A picture's value of a metric; CLIP-R's is a hit or a miss."""
    if metric == "clip_r":
        return "hit" if value else "miss"
    return decimal(value, 4)
