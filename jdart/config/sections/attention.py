"""Settings by which a drawing shares the self-attention of a reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional  # Python 3.9 evaluates the annotations of fields: no `X | None` in them

from jdart.config.problem import check


@dataclass(frozen=True)
class StyleIDConfig:
    """StyleID injection (2312.09008): each picture is drawn again with the self-attention of a reference."""

    steps: int = 50  # of DDIM, there and back
    gamma: float = 0.75  # 1 keeps the queries of the picture, 0 takes those of what is being drawn
    temperature: float = 1.5  # sharpens the attention that keys of another picture make flatter
    reference: Optional[str] = None  # a file name among the style's pictures, or "average"; None: the first
    layers: int = 5  # the last so many self-attentions of the decoder; 5 are layers 7 to 11 of Stable Diffusion

    def __post_init__(self) -> None:
        check(self.steps >= 1, f"steps: {self.steps} is below 1")
        check(0 <= self.gamma <= 1, f"gamma: {self.gamma} is not in [0, 1]")
        check(self.temperature > 0, f"temperature: {self.temperature} is not above 0")
        check(self.reference != "", "reference: name a picture of the style, or average, or leave it out")
        check(self.layers >= 1, f"layers: {self.layers} is below 1")
