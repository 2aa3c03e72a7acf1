"""Settings of StyleBlend (2502.09064): a text encoder that knows a style's composition, and drawing in two branches."""

from __future__ import annotations

from dataclasses import dataclass

from jdart.config.problem import check, check_template


@dataclass(frozen=True)
class CompositionConfig:
    """A LoRA of the text encoder, learnt from pictures of the plain base that keep a reference's composition.

    The pictures are drawn from the references by SDEdit (2108.01073); of each reference's, those are kept that CLIP
    finds most like it. Defaults are the published ones.
    """

    pictures: int = 15  # drawn from each reference
    keep: int = 10  # of them
    strength_min: float = 0.75  # of SDEdit, in three equal steps
    strength_max: float = 0.85
    sampling_steps: int = 20
    negative_prompt: str = "ugly, low quality, blur, distorted"
    prompt: str = "an image of {object}, realistic"  # from which the pictures are drawn
    caption: str = "an image of {object} in the style of &"  # with which they are learnt, and a branch is drawn
    r: int = 16
    steps: int = 300
    batch_size: int = 1
    learning_rate: float = 1e-4

    def __post_init__(self) -> None:
        for name in ("pictures", "keep", "sampling_steps", "r", "steps", "batch_size"):
            check(getattr(self, name) >= 1, f"{name}: {getattr(self, name)} is below 1")
        check(self.keep <= self.pictures, f"keep: {self.keep} of {self.pictures} pictures cannot be kept")
        low, high = self.strength_min, self.strength_max
        check(0 < low <= high <= 1, f"strength_min, strength_max: {low}, {high} are no range within (0, 1]")
        check(int(self.sampling_steps * low) >= 1, f"strength_min: {low} leaves no step of {self.sampling_steps}")
        check(self.learning_rate > 0, f"learning_rate: {self.learning_rate} is not above 0")
        for name in ("prompt", "caption"):
            check("{object}" in getattr(self, name), f"{name}: must hold {{object}}")
            check_template(name, getattr(self, name))

    def strength(self, number: int) -> float:
        """Of SDEdit for picture `number`."""
        return self.strength_min + (number % 3) / 2 * (self.strength_max - self.strength_min)


@dataclass(frozen=True)
class StyleBlendConfig:
    """Two branches from the same noise: one in the style's texture, one in its composition; the first is the picture.

    The composition's queries lay out the texture's in the middle self-attentions; the texture's keys and values colour
    the composition's in the others. Self-attentions are counted by their share of all: of Stable Diffusion's 16 the
    middle ones are 4 to 9.
    """

    lora_weight: float = 0.3  # of the style's LoRA of the UNet in the branch of the composition
    middle_first: float = 0.25  # shares of the self-attentions: the middle ones begin here
    middle_last: float = 0.625  # and end here
    queries_until: float = 0.8  # shares of the steps
    keys_values_until: float = 0.6

    def __post_init__(self) -> None:
        check(0 <= self.lora_weight <= 1, f"lora_weight: {self.lora_weight} is not in [0, 1]")
        first, last = self.middle_first, self.middle_last
        check(0 <= first < last <= 1, f"middle_first, middle_last: {first}, {last} are no range within [0, 1]")
        for name in ("queries_until", "keys_values_until"):
            check(0 <= getattr(self, name) <= 1, f"{name}: {getattr(self, name)} is not in [0, 1]")
