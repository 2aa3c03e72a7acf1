"""The numbers of a board: their names, which direction is good, and how many digits are shown."""

from __future__ import annotations

from dataclasses import dataclass

from contest.numbers import decimal


@dataclass(frozen=True)
class Metric:
    """`key` is the name in report.json; `part` says which part of Final it enters."""

    key: str
    label: str
    part: str
    higher_is_better: bool = True
    digits: int = 4

    @property
    def arrow(self) -> str:
        """Points in the good direction."""
        return "↑" if self.higher_is_better else "↓"

    def show(self, value: float | None) -> str:
        """The value as people read it."""
        return "–" if value is None else decimal(value, self.digits)


# in the order of the formula: Final = Style x (Text + Quality)
SCORES = (
    Metric("final", "Final", "final"),
    Metric("style", "Style", "style"),
    Metric("dino", "DINO", "style"),
    Metric("hist", "Hist", "style"),
    Metric("lpips", "LPIPS", "style", higher_is_better=False),
    Metric("text", "Text", "text"),
    Metric("clip_r", "CLIP-R", "text"),
    Metric("quality", "Quality", "quality"),
    Metric("fid", "FID", "quality", higher_is_better=False, digits=3),
    Metric("clip_iqa", "CLIP-IQA", "quality"),
)
STYLE_SCORES = (
    Metric("dino", "DINO", "style"),
    Metric("hist", "Hist", "style"),
    Metric("hist_rgb", "Hist RGB", "style"),
    Metric("hist_hsv", "Hist HSV", "style"),
    Metric("lpips", "LPIPS", "style", higher_is_better=False),
    Metric("clip_r", "CLIP-R", "text"),
    Metric("clip_iqa", "CLIP-IQA", "quality"),
)
