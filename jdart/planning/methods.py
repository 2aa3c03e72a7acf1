"""Drawing's methods in a run that is measured: in every step of it, or in none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from jdart.config import ColourConfig, CompositionConfig, Config, GenerateConfig
from jdart.config.overrides import settings_of

_WHOLE = {"first": 0.0, "last": 1.0}
# what a call costs the same with: one value for all, so that styles that differ in it alone are measured once
_ATTENTION = {
    "style_aligned": {**_WHOLE, "reference": None, "prompt": "", "shift": 0.0, "scale": 1.0},
    "style_prompting": {**_WHOLE, "reference": None, "prompt": ""},
}
_COLOUR = {
    "transport": {**_WHOLE, "weight": 1.0},
    "guidance": {**_WHOLE, "rate": 0.1},
    "finish": {"strength": 1.0},
}


def in_every_step(settings: GenerateConfig) -> GenerateConfig:
    """`settings` whose methods work in all steps, so that a run of few steps has them, with any style's pictures."""
    changes = {**_changed(settings, _ATTENTION), "guidance_interval": None}
    if settings.colour is not None:
        changes["colour"] = replace(settings.colour, **_changed(settings.colour, _COLOUR))
    if settings.styleid is not None:
        changes["styleid"] = replace(settings.styleid, reference=None)
    return replace(settings, **changes)


def _changed(settings: Any, values: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The sections of `settings` that are there, each with the values that are given for it."""
    sections = {name: getattr(settings, name) for name in values}
    return {name: replace(own, **values[name]) for name, own in sections.items() if own is not None}


def without_methods(settings: GenerateConfig) -> GenerateConfig:
    """`settings` without what makes a call of the network dearer."""
    colour = settings.colour
    if colour is not None:
        colour = replace(colour, transport=None, guidance=None)
        colour = None if colour == ColourConfig() else colour
    attention: dict[str, Any] = dict.fromkeys(("style_aligned", "style_prompting", "style_blend", "ip_adapter"))
    return replace(settings, colour=colour, **attention)


def calls_of_methods(settings: GenerateConfig) -> int:
    """In how many of a batch's calls some method is at work; all of them where there is none."""
    colour, calls = settings.colour, settings.calls
    ranged: list[Any] = [settings.style_aligned, settings.style_prompting]
    ranged += [] if colour is None else [colour.transport, colour.guidance]
    ranges = [(method.first, method.last) for method in ranged if method is not None]
    if settings.style_blend is not None or settings.ip_adapter is not None or not ranges:
        return calls
    return sum(any(first <= done / calls < last for first, last in ranges) for done in range(calls))


def dear_calls(settings: GenerateConfig) -> float:
    """A batch's calls by their cost: outside of the guidance interval the network computes half."""
    if settings.guidance_interval is None or settings.guidance_scale == 1:
        return settings.calls
    return sum(1 if settings.guides(done, settings.calls) else 0.5 for done in range(settings.calls))


def has_own_methods(run: GenerateConfig, settings: GenerateConfig) -> bool:
    """Whether a style or a prompt is drawn with other methods than the run."""
    return any(getattr(run, name) != getattr(settings, name) for name in ("colour", "ip_adapter", *_ATTENTION))


def way_of(run: GenerateConfig, settings: GenerateConfig) -> GenerateConfig:
    """The run's settings with the methods of `settings`, in every step."""
    own = in_every_step(settings)
    names = ("colour", "ip_adapter", *_ATTENTION)
    return replace(run, **{name: getattr(own, name) for name in names})


def own_ways(config: Config, contest: Mapping[str, Sequence[str]]) -> list[GenerateConfig]:
    """The ways in which styles or prompts of `contest` are drawn by their overrides; those that cost alike once."""
    run = config.generate
    drawn = [
        settings_of(run, config.seed, config.overrides, style, prompt)[0]
        for style, prompts in contest.items()
        for prompt in prompts
        if style in config.overrides
    ]
    return list(dict.fromkeys(way_of(run, settings) for settings in drawn if has_own_methods(run, settings)))


def smallest(settings: CompositionConfig | None, steps: int) -> CompositionConfig | None:
    """A composition of one picture, drawn in one step, and so many steps of training."""
    if settings is None:
        return None
    return replace(settings, pictures=1, keep=1, sampling_steps=int(1 / settings.strength_min) + 1, steps=steps)
