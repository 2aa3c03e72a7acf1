"""Settings by which a drawing shares the self-attention of a reference."""

from __future__ import annotations

import math
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


@dataclass(frozen=True)
class SharedAttentionConfig:
    """What the ways to share a reference's self-attention have in common."""

    reference: Optional[str] = None  # a file name among the style's pictures, or "average"; None: the first
    prompt: str = ""  # what the reference shows, in the words that it is inverted and read with
    layers: Optional[tuple[int, ...]] = (
        None  # numbers of self-attentions from 0, down, mid, up; -1 is the last; None: all
    )
    first: float = 0.0  # shares of the steps: from here
    last: float = 1.0  # up to here

    def __post_init__(self) -> None:
        check(self.reference != "", "reference: name a picture of the style, or average, or leave it out")
        check(self.layers is None or len(self.layers) > 0, "layers: names none; leave it out to take all")
        check(0 <= self.first < self.last <= 1, f"first, last: {self.first}, {self.last} are no range within [0, 1]")

    def active(self, done: int, calls: int) -> bool:
        """Whether the method works in a call of the network, when `done` of `calls` are behind it."""
        return self.first <= done / calls < self.last


@dataclass(frozen=True)
class StyleAlignedConfig(SharedAttentionConfig):
    """StyleAligned (2312.02133): pictures attend to the reference beside themselves, in its statistics."""

    shift: float = math.log(2)  # added to the logits of the reference's keys: higher is more of the reference
    scale: float = 1.0  # times those logits: lower spreads what is looked at over the reference
    adain: bool = True  # queries and keys take mean and deviation of the reference's

    def __post_init__(self) -> None:
        super().__post_init__()
        check(-20 <= self.shift <= 20, f"shift: {self.shift} is not in [-20, 20]")
        check(0 < self.scale <= 10, f"scale: {self.scale} is not in (0, 10]")


@dataclass(frozen=True)
class StylePromptingConfig(SharedAttentionConfig):
    """Visual style prompting (2402.12974): in late self-attentions keys and values are the reference's."""

    layers: Optional[tuple[int, ...]] = (-4, -3, -2, -1)
    first: float = 0.2
