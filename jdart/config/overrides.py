"""Settings of drawing for one style, or one prompt of it, in place of those of the whole run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Optional  # Python 3.9 evaluates the annotations of fields: no `X | None` in them

from contest.errors import UserError
from jdart.config.problem import Problem
from jdart.config.said import LATER
from jdart.config.sections.attention import StyleAlignedConfig, StylePromptingConfig
from jdart.config.sections.colour import ColourConfig, StartConfig
from jdart.config.sections.generate import GenerateConfig, WeightedLora
from jdart.config.sections.ip_adapter import IPAdapterConfig


@dataclass(frozen=True)
class PromptOverride:
    """What differs for one prompt; None leaves a setting as it is."""

    seed: Optional[int] = None  # in place of the run's
    negative_prompt: Optional[str] = None
    guidance_scale: Optional[float] = None
    guidance_rescale: Optional[float] = None
    origin_scale: Optional[float] = None
    strength: Optional[float] = None
    lora_weight: Optional[float] = None
    loras: Optional[tuple[WeightedLora, ...]] = None
    start: Optional[StartConfig] = field(default=None, metadata=LATER)
    colour: Optional[ColourConfig] = field(default=None, metadata=LATER)
    style_aligned: Optional[StyleAlignedConfig] = field(default=None, metadata=LATER)
    style_prompting: Optional[StylePromptingConfig] = field(default=None, metadata=LATER)
    ip_adapter: Optional[IPAdapterConfig] = field(default=None, metadata=LATER)
    guidance_interval: Optional[tuple[float, ...]] = field(default=None, metadata=LATER)

    def __post_init__(self) -> None:
        if self.seed is not None and self.seed < 0:
            raise Problem(f"seed: {self.seed} is below 0")

    def over(self, settings: GenerateConfig) -> GenerateConfig:
        """`settings` with what differs here. Problem when a value is out of range."""
        own = {f.name: getattr(self, f.name) for f in fields(PromptOverride) if f.name != "seed"}
        return replace(settings, **{name: value for name, value in own.items() if value is not None})


@dataclass(frozen=True)
class StyleOverride(PromptOverride):
    """What differs for one style, and for single prompts of it."""

    prompts: Mapping[str, PromptOverride] = field(default_factory=dict)

    @property
    def every(self) -> tuple[PromptOverride, ...]:
        """The style's own and those of its prompts."""
        return (self, *self.prompts.values())


def settings_of(
    settings: GenerateConfig, seed: int, overrides: Mapping[str, StyleOverride], style: str, prompt: str
) -> tuple[GenerateConfig, int]:
    """Settings and base seed of one picture: those of the run, over them its style's, over them its prompt's."""
    own = overrides.get(style)
    for override in () if own is None else (own, own.prompts.get(prompt)):
        if override is not None:
            settings = override.over(settings)
            seed = seed if override.seed is None else override.seed
    return settings, seed


def require_good(settings: GenerateConfig, overrides: Mapping[str, StyleOverride]) -> None:
    """Problem when an override makes a setting that cannot be."""
    for style, own in overrides.items():
        for prompt in (None, *own.prompts):
            try:
                base = own.over(settings)
                if prompt is not None:
                    own.prompts[prompt].over(base)
            except Problem as problem:
                where = style if prompt is None else f"{style}.prompts.{prompt}"
                raise Problem(f"overrides.{where}.{problem}") from None


def require_known(overrides: Mapping[str, StyleOverride], contest: Mapping[str, Sequence[str]]) -> None:
    """UserError for an override of a style or prompt that `contest` (style -> prompts) does not have."""
    for style, own in overrides.items():
        if style not in contest:
            raise UserError(f"overrides.{style}: the contest has no such style; it has {', '.join(contest)}")
        for prompt in own.prompts:
            if prompt not in contest[style]:
                known = ", ".join(contest[style])
                raise UserError(f"overrides.{style}.prompts.{prompt}: style {style} has no such prompt; it has {known}")
