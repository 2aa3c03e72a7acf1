"""The published formula: six metrics in, style, text, quality and final out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scores:
    """The six metrics of an entry and what the formula makes of them.

    FID and LPIPS are better when low, the rest when high.
    """

    dino: float
    hist: float
    fid: float
    lpips: float
    clip_iqa: float
    clip_r: float
    style: float
    text: float
    quality: float
    final: float


# its six terms, first Style's and then those of Text and Quality
STYLE_TERMS = ("dino", "hist", "lpips")
OTHER_TERMS = ("clip_r", "fid", "clip_iqa")
TERMS = STYLE_TERMS + OTHER_TERMS

# metrics with which every term is 0, and with which each has its full weight
NOTHING = {"dino": 0.0, "hist": 0.0, "lpips": 1.0, "clip_r": 0.0, "fid": 20.0, "clip_iqa": 0.0}
FULL = {"dino": 1.0, "hist": 1.0, "lpips": 0.0, "clip_r": 1.0, "fid": 0.0, "clip_iqa": 1.0}

# what each metric can be at all, but for rounding: the ends of its scale
RANGES = {
    "dino": (-1.0, 1.0),
    "hist": (-1.0, 1.0),
    "fid": (0.0, float("inf")),
    "lpips": (0.0, float("inf")),
    "clip_iqa": (0.0, 1.0),
    "clip_r": (0.0, 1.0),
}


def metrics_to_scores(*, dino: float, hist: float, fid: float, lpips: float, clip_iqa: float, clip_r: float) -> Scores:
    """Final = Style x (Text + Quality). Source: `evaluation/eval_score.py` of Xlucidator/JDiffArtFlow."""
    style = 0.2 * dino + 0.4 * hist + 0.4 * max(0.0, 1 - lpips)
    text = 0.5 * clip_r
    quality = 0.4 * (20 - min(fid, 20.0)) / 20 + 0.1 * clip_iqa
    return Scores(
        dino=dino,
        hist=hist,
        fid=fid,
        lpips=lpips,
        clip_iqa=clip_iqa,
        clip_r=clip_r,
        style=style,
        text=text,
        quality=quality,
        final=style * (text + quality),
    )
