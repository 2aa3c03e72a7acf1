"""Why one entry's Final is above another's: the difference, split over metrics, styles and pictures.

Final = S x Q with S = Style and Q = Text + Quality, both sums of one term a metric. A product of two
sums splits exactly as

    Final(A) - Final(B) = (S_A - S_B) (Q_A + Q_B) / 2 + (Q_A - Q_B) (S_A + S_B) / 2

which is the mean over both orders of changing S and Q, so neither is favoured (Shapley, 1953). The terms of a sum split
by themselves, and each but FID's is a mean over styles, and over their pictures. `static/difference.js` does the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from leaderboard.metrics import STYLE_SCORES
from leaderboard.reading.reports import Picture, Report

METRICS = ("dino", "hist", "lpips", "clip_r", "fid", "clip_iqa")
LABELS = {"fid": "FID", **{metric.key: metric.label for metric in STYLE_SCORES}}
PER_STYLE = tuple(metric for metric in METRICS if metric != "fid")  # FID is one number for all styles together
_IN_STYLE = ("dino", "hist", "lpips")

Scores = Mapping[str, "float | None"]


@dataclass(frozen=True)
class Difference:
    """Final(A) - Final(B): `metrics` add up to it, and so do `styles` (style -> metric -> part) and what is left over.

    `rates` is what one unit more of a metric adds to Final, half way between A and B.
    """

    total: float
    metrics: Mapping[str, float]
    rates: Mapping[str, float]
    styles: Mapping[str, Mapping[str, float]]

    @property
    def elsewhere(self) -> float:
        """What belongs to no single style: FID, and what a style without figures took with it."""
        return self.total - sum(sum(parts.values()) for parts in self.styles.values())


def difference(a: Report, b: Report) -> Difference | None:
    """None where one of the two lacks a score that enters Final."""
    terms_a, terms_b = terms(a.scores), terms(b.scores)
    if terms_a is None or terms_b is None:
        return None
    other = {
        True: (_sum(terms_a, False) + _sum(terms_b, False)) / 2,
        False: (_sum(terms_a, True) + _sum(terms_b, True)) / 2,
    }
    metrics = {key: (terms_a[key] - terms_b[key]) * other[key in _IN_STYLE] for key in METRICS}
    rates = {}
    for key in METRICS:
        raw = _known(a.scores, key) - _known(b.scores, key)
        rates[key] = metrics[key] / raw if raw else _slope(key, _known(a.scores, key)) * other[key in _IN_STYLE]
    styles = {}
    parts_a, parts_b = _parts(a), _parts(b)
    for style in sorted({*a.styles, *b.styles}):
        none = dict.fromkeys(PER_STYLE, 0.0)
        one, two = parts_a.get(style, none), parts_b.get(style, none)
        styles[style] = {key: (one[key] - two[key]) * rates[key] for key in PER_STYLE}
    return Difference(sum(metrics.values()), metrics, rates, styles)


def terms(scores: Scores) -> dict[str, float] | None:
    """What each metric puts into Style, Text or Quality; None where one is unknown."""
    if any(scores[key] is None for key in METRICS):
        return None
    return {
        "dino": 0.2 * _known(scores, "dino"),
        "hist": 0.4 * _known(scores, "hist"),
        "lpips": 0.4 * max(0.0, 1 - _known(scores, "lpips")),
        "clip_r": 0.5 * _known(scores, "clip_r"),
        "fid": 0.4 * (20 - min(_known(scores, "fid"), 20.0)) / 20,
        "clip_iqa": 0.1 * _known(scores, "clip_iqa"),
    }


def shares_of_final(scores: Scores) -> dict[str, float] | None:
    """Final split over its metrics: its difference from an entry of which every term is 0."""
    found = terms(scores)
    if found is None:
        return None
    style, rest = _sum(found, True), _sum(found, False)
    return {key: found[key] * (rest if key in _IN_STYLE else style) / 2 for key in METRICS}


def picture_value(picture: Picture, key: str) -> float | None:
    """One metric of one picture; CLIP-R is 1 for a hit, 0 for a miss."""
    if key == "clip_r":
        return None if picture.hit is None else float(picture.hit)
    value = picture.scores.get(key)
    if key == "hist" and value is None:
        rgb, hsv = picture.scores.get("hist_rgb"), picture.scores.get("hist_hsv")
        return None if rgb is None or hsv is None else (rgb + hsv) / 2
    return value


def _parts(report: Report) -> dict[str, dict[str, float]]:
    """Style -> metric -> its part of the metric's total: CLIP-R counts pictures, the others are means over styles."""
    counts = {style: report.counts.get(style, 0) for style in report.styles}
    everything = sum(counts.values())
    share = {style: counts[style] / everything if everything else 1 / len(counts) for style in counts}
    return {
        style: {
            key: 0.0
            if (value := values[key]) is None
            else value * (share[style] if key == "clip_r" else 1 / len(counts))
            for key in PER_STYLE
        }
        for style, values in report.styles.items()
    }


def _slope(key: str, value: float) -> float:
    """What a term gains for one unit more of its metric."""
    if key == "lpips":
        return -0.4 if value < 1 else 0.0
    if key == "fid":
        return -0.02 if value < 20 else 0.0
    return {"dino": 0.2, "hist": 0.4, "clip_r": 0.5, "clip_iqa": 0.1}[key]


def _sum(found: Mapping[str, float], in_style: bool) -> float:
    return sum(value for key, value in found.items() if (key in _IN_STYLE) is in_style)


def _known(scores: Scores, key: str) -> float:
    value = scores[key]
    assert value is not None
    return value
