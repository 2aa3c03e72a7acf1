"""Settings of what is learnt: pictures and captions, and prior preservation."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Optional  # Python 3.9 evaluates the annotations of fields: no `X | None` in them

from jdart.config.problem import check, check_template
from jdart.config.said import LATER

CAPTIONS = ("auto", "file_name", "txt", "jsonl", "csv")
MAX_SIZE = 4096  # the contest takes no larger picture
POOLS = ("style", "shared")
# <style>/images/*.png; the pictures of one style, just so; <category>/test/<defect>/*.png
LAYOUTS = ("contest", "folder", "mvtec")
ANY_OR_ALL = ("any", "all")


@dataclass(frozen=True)
class DataConfig:
    """Pictures and captions."""

    size: int = 512  # pixels, of the square that is learnt and drawn
    template: str = "an image of {object} in style_{id}"
    instance_prompt: Optional[str] = None  # one caption for all pictures, "style_{id}"; drawn is with the template
    captions: str = "file_name"  # through the template; or "txt", "jsonl", "csv", "auto": whichever the folder has
    min_size: int = 0  # pixels; pictures whose shorter side is below are left out
    min_aspect: float = 0.0  # width by height; flatter and taller pictures are left out
    max_aspect: Optional[float] = None
    prior_template: str = "an image of {object}"
    crops: int = 1  # 1: the centre; more: that many random crops of each picture, each encoded once
    flip: bool = False  # learn every picture mirrored as well
    flip_caption: str = ""  # what the caption of a mirrored picture ends in, such as ", mirrored"
    rotation: float = 0.0  # degrees: each crop is turned by up to this angle; it leaks into the style
    caption_shuffle: bool = False  # the parts between the commas of a caption in a new order each time
    caption_keep: int = 0  # so many parts stay in front when the others are shuffled
    caption_dropout: float = 0.0  # how often a caption is left empty, 0 to 1
    layout: str = field(default="contest", metadata=LATER)  # how the references lie: see LAYOUTS
    share: float = field(default=1.0, metadata=LATER)  # of a style's pictures, the first by name
    # Of pictures that share a row of metadata.jsonl: left out together unless any, or all, are large and square enough
    any_or_all: str = field(default="any", metadata=LATER)

    def __post_init__(self) -> None:
        good = 8 <= self.size <= MAX_SIZE and self.size % 8 == 0
        check(good, f"size: {self.size} is not a multiple of 8 up to {MAX_SIZE}")
        check(self.crops >= 1, f"crops: {self.crops} is below 1")
        check(0 <= self.rotation <= 180, f"rotation: {self.rotation} is not in [0, 180] degrees")
        check(self.flip or not self.flip_caption, "flip_caption: says nothing without flip: true")
        check(self.caption_keep >= 0, f"caption_keep: {self.caption_keep} is below 0")
        check(
            self.caption_shuffle or self.caption_keep == 0, "caption_keep: says nothing without caption_shuffle: true"
        )
        check(0 <= self.caption_dropout <= 1, f"caption_dropout: {self.caption_dropout} is not in [0, 1]")
        check(self.captions in CAPTIONS, f"captions: {self.captions!r}; there are {', '.join(CAPTIONS)}")
        check(self.min_size >= 0, f"min_size: {self.min_size} is below 0")
        check(self.min_aspect >= 0, f"min_aspect: {self.min_aspect} is below 0")
        if self.max_aspect is not None:
            good = 0 < self.max_aspect >= self.min_aspect
            check(good, f"max_aspect: {self.max_aspect} is not above 0, or below min_aspect {self.min_aspect}")
        check(self.layout in LAYOUTS, f"layout: {self.layout!r}; there are {', '.join(LAYOUTS)}")
        check(0 < self.share <= 1, f"share: {self.share} is not above 0 and up to 1")
        check(self.any_or_all in ANY_OR_ALL, f"any_or_all: {self.any_or_all!r}; there are {', '.join(ANY_OR_ALL)}")
        alone = self.instance_prompt is None or self.captions == "file_name"
        check(alone, f"instance_prompt: takes the place of captions: {self.captions}; set one of the two")
        for name in ("template", "prior_template", *(["instance_prompt"] if self.instance_prompt is not None else [])):
            check_template(name, getattr(self, name))

    @property
    def caption(self) -> str:
        """The template of a picture's caption, where its file's name makes it."""
        return self.template if self.instance_prompt is None else self.instance_prompt

    def of_prior(self) -> DataConfig:
        """How prior pictures are read: their captions stay the very prompts that they were drawn from."""
        return replace(self, flip_caption="", rotation=0.0)


@dataclass(frozen=True)
class PriorConfig:
    """Prior preservation: pictures of the plain base model, learnt along. Weight 0 and mixture 0 leave it out."""

    weight: float = 0.0  # of the prior's loss, beside a batch of style pictures
    mixture: float = 0.0  # instead: this share of all pictures of the batches comes from the prior, in one loss
    pool: str = "style"  # "style": each style has its own prior pictures; "shared": all learn from those of all
    images_per_prompt: int = 8
    steps: int = 25

    def __post_init__(self) -> None:
        check(self.weight >= 0, f"weight: {self.weight} is below 0")
        check(0 <= self.mixture < 1, f"mixture: {self.mixture} is not in [0, 1)")
        check(self.weight == 0 or self.mixture == 0, "mixture: takes the place of weight; set one of the two")
        check(self.pool in POOLS, f"pool: {self.pool!r}; there are {', '.join(POOLS)}")
        check(self.images_per_prompt >= 1, f"images_per_prompt: {self.images_per_prompt} is below 1")
        check(self.steps >= 1, f"steps: {self.steps} is below 1")

    @property
    def used(self) -> bool:
        """Whether prior pictures are needed at all."""
        return self.weight > 0 or self.mixture > 0
