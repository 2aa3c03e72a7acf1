"""Settings of image prompts: an IP-Adapter, its image encoder, the pictures it is shown and how much of each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional  # Python 3.9 evaluates the annotations of fields: no `X | None` in them

from jdart.config.problem import check

ENCODERS = ("clip", "dino")
COMBINATIONS = ("concat", "add")


@dataclass(frozen=True)
class WeightedImage:
    """A picture that prompts, and how much it counts beside the others."""

    path: str
    weight: float = 1.0

    def __post_init__(self) -> None:
        check(bool(self.path), "path: name a picture")
        check(0 < self.weight <= 100, f"weight: {self.weight} is not in (0, 100]; leave the picture out instead of 0")


@dataclass(frozen=True)
class WeightedLayer:
    """Cross-attentions, by a name such as up, up.1 or up.1.0, and how much of the images they see."""

    name: str
    weight: float = 1.0

    def __post_init__(self) -> None:
        part, *numbers = self.name.split(".")
        good = part in ("down", "mid", "up") and len(numbers) <= 2 and all(number.isdecimal() for number in numbers)
        check(good, f"name: {self.name!r}; take down, mid or up, or some of it as up.1 or up.1.0")


@dataclass(frozen=True)
class IPAdapterConfig:
    """IP-Adapter (2308.06721): beside the text every cross-attention looks at tokens of pictures.

    The pictures' tokens stand in one list (`combine: concat`), where a picture of weight 2 counts as if it were there
    twice, or each picture is looked at by itself and what is seen is added by the weights (`add`).
    """

    weights: Optional[str] = None  # the adapter's file, .bin or .safetensors; None: what train.ip_adapter learns
    encoder: str = "clip"
    image_encoder: Optional[str] = None  # folder; None: image_encoder beside the file, DINOv2 of score.weights
    images: Optional[tuple[WeightedImage, ...]] = None  # None: the style's pictures, each of weight 1
    combine: str = "concat"
    scale: float = 1.0  # of what is seen in the pictures beside the text
    layers: Optional[tuple[WeightedLayer, ...]] = None  # times `scale`; those that are not named: 0; None: all 1

    def __post_init__(self) -> None:
        check(self.encoder in ENCODERS, f"encoder: {self.encoder!r}; there are {', '.join(ENCODERS)}")
        given = self.weights is not None or self.encoder == "dino"
        check(given and self.weights != "", "weights: name the file of an IP-Adapter, or learn one with encoder: dino")
        check(self.image_encoder != "", "image_encoder: name a folder, or leave it out")
        check(self.images is None or len(self.images) > 0, "images: names none; leave it out to take the style's")
        check(self.combine in COMBINATIONS, f"combine: {self.combine!r}; there are {', '.join(COMBINATIONS)}")
        check(-10 <= self.scale <= 10, f"scale: {self.scale} is not in [-10, 10]")
        check(self.layers is None or len(self.layers) > 0, "layers: names none; leave it out to take all")

    @property
    def learnt(self) -> bool:
        """Whether it is the one that is trained in the run."""
        return self.weights is None

    @property
    def named(self) -> IPAdapterConfig:
        """The same with names of files in place of their paths: what a picture says that others may read."""
        images = self.images
        if images is not None:
            images = tuple(replace(image, path=Path(image.path).name) for image in images)
        weights, encoder = (None if path is None else Path(path).name for path in (self.weights, self.image_encoder))
        return replace(self, weights=weights, image_encoder=encoder, images=images)


@dataclass(frozen=True)
class IPAdapterTrainConfig:
    """An adapter of the base kind for DINOv2, learnt with the LoRA on the style's pictures."""

    tokens: int = 4  # of a picture
    learning_rate: float = 1e-4
    drop: float = 0.1  # share of the pictures that are learnt without an image prompt

    def __post_init__(self) -> None:
        check(1 <= self.tokens <= 64, f"tokens: {self.tokens} is not in 1 to 64")
        check(self.learning_rate > 0, f"learning_rate: {self.learning_rate} is not above 0")
        check(0 <= self.drop < 1, f"drop: {self.drop} is not in [0, 1)")
