"""Settings of drawing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional  # Python 3.9 evaluates the annotations of fields: no `X | None` in them

from jdart.config.problem import check
from jdart.config.said import LATER
from jdart.config.sections.attention import (
    SharedAttentionConfig,
    StyleAlignedConfig,
    StyleIDConfig,
    StylePromptingConfig,
)
from jdart.config.sections.blend import StyleBlendConfig
from jdart.config.sections.colour import ColourConfig, StartConfig
from jdart.config.sections.ip_adapter import IPAdapterConfig


@dataclass(frozen=True)
class WeightedLora:
    """A LoRA file that is merged along with the style's own."""

    path: str
    weight: float = 1.0

    def __post_init__(self) -> None:
        check(bool(self.path), "path: name a LoRA file")


@dataclass(frozen=True)
class GenerateConfig:
    """Sampling."""

    sampler: str = "pndm"
    steps: int = 25
    guidance_scale: float = 7.5
    guidance_rescale: float = 0.0  # phi of 2305.08891; 0.7 where guidance burns the contrast
    negative_prompt: str = ""
    origin_scale: float = 0.0  # share of the prompt without the style in what the picture is drawn from
    strength: Optional[float] = None  # average-image initialisation; None starts from noise alone
    lora_weight: float = 1.0  # of the style's own LoRA; at 0 none is trained
    loras: tuple[WeightedLora, ...] = ()
    num_images_per_prompt: int = 1  # the first is the entry's, the others are candidates
    styleid: Optional[StyleIDConfig] = None
    batch_size: int = 4
    start: Optional[StartConfig] = field(default=None, metadata=LATER)
    colour: Optional[ColourConfig] = field(default=None, metadata=LATER)
    style_aligned: Optional[StyleAlignedConfig] = field(default=None, metadata=LATER)
    style_prompting: Optional[StylePromptingConfig] = field(default=None, metadata=LATER)
    style_blend: Optional[StyleBlendConfig] = field(default=None, metadata=LATER)  # needs train.composition
    ip_adapter: Optional[IPAdapterConfig] = field(default=None, metadata=LATER)
    guidance_interval: Optional[tuple[float, ...]] = field(default=None, metadata=LATER)  # shares of the steps

    def __post_init__(self) -> None:
        from jdart.generation.samplers import SAMPLERS

        check(self.sampler in SAMPLERS, f"sampler: {self.sampler!r}; there are {', '.join(SAMPLERS)}")
        check(self.steps >= 1, f"steps: {self.steps} is below 1")
        check(self.batch_size >= 1, f"batch_size: {self.batch_size} is below 1")
        check(self.num_images_per_prompt >= 1, f"num_images_per_prompt: {self.num_images_per_prompt} is below 1")
        for name in ("guidance_rescale", "origin_scale"):
            check(0 <= getattr(self, name) <= 1, f"{name}: {getattr(self, name)} is not in [0, 1]")
        in_range = self.strength is None or (0 < self.strength <= 1 and int(self.steps * self.strength) >= 1)
        check(in_range, f"strength: {self.strength} leaves no step of {self.steps}; take up to 1, or null")
        both = self.style_aligned is not None and self.style_prompting is not None
        check(not both, "style_aligned, style_prompting: both change the same attentions; set one of them to null")
        if self.style_blend is not None:
            for name in ("styleid", "style_aligned", "style_prompting"):
                alone = getattr(self, name) is None
                check(alone, f"style_blend, {name}: both change the same attentions; set one of them to null")
            alone = self.ip_adapter is None
            check(alone, "style_blend, ip_adapter: two branches take no image prompts; set one of them to null")
        self._check_shared()
        self._check_colour()
        self._check_interval()

    def _check_colour(self) -> None:
        if self.colour is None:
            return
        for name in ("transport", "guidance"):
            own = getattr(self.colour, name)
            if own is not None:
                self._check_range(f"colour.{name}.first, last", own.first, own.last)

    def _check_interval(self) -> None:
        if self.guidance_interval is not None:
            said, shares = list(self.guidance_interval), (*self.guidance_interval, 0.0, 0.0)
            good = len(said) == 2 and 0 <= shares[0] < shares[1] <= 1
            check(good, f"guidance_interval: {said} is no range within [0, 1]; take such as [0.2, 0.8], or null")
            self._check_range("guidance_interval", *said)

    def _check_shared(self) -> None:
        shared, name = self.shared_attention
        if shared is not None:
            self._check_range(f"{name}.first, last", shared.first, shared.last)

    def _check_range(self, name: str, first: float, last: float) -> None:
        calls = self.calls
        some = any(first <= done / calls < last for done in range(calls))
        cure = "widen the range, or take more steps"
        check(some, f"{name}: none of {calls} steps lies in [{first}, {last}); {cure}")

    @property
    def calls(self) -> int:
        """How often the sampler calls the network for a batch: once a step, PNDM once more."""
        steps = self.steps if self.strength is None else int(self.steps * self.strength)
        return steps + (self.sampler == "pndm" and self.steps > 1)

    def guides(self, done: int, calls: int) -> bool:
        """Whether a call of the network, when `done` of `calls` are behind it, is asked without the text too."""
        first, last = (0.0, 1.0) if self.guidance_interval is None else self.guidance_interval
        return self.guidance_scale != 1 and first <= done / calls < last

    @property
    def shared_attention(self) -> tuple[Optional[SharedAttentionConfig], str]:
        """The way in which attention is shared with a reference, and its setting's name; None for none."""
        if self.style_aligned is not None:
            return self.style_aligned, "style_aligned"
        return self.style_prompting, "style_prompting"

    @property
    def looks_at_references(self) -> bool:
        """Whether a picture depends on the style's pictures beside the LoRA, the average picture and StyleID's."""
        methods = (self.start, self.colour, self.style_aligned, self.style_prompting)
        return any(method is not None for method in methods)
