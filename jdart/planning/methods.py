"""Drawing's methods in a run that is measured: in every step of it, or in none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from jdart.config import ColourConfig, CompositionConfig, GenerateConfig


def in_every_step(settings: GenerateConfig) -> GenerateConfig:
    """`settings` whose methods work in all steps, so that a run of few steps has them."""
    whole = {"first": 0.0, "last": 1.0}
    changes = {
        name: replace(getattr(settings, name), **whole)
        for name in ("style_aligned", "style_prompting")
        if getattr(settings, name) is not None
    }
    if settings.colour is not None:
        parts = {name: getattr(settings.colour, name) for name in ("transport", "guidance")}
        own = {name: replace(part, **whole) for name, part in parts.items() if part is not None}
        changes["colour"] = replace(settings.colour, **own)
    return replace(settings, **changes)


def without_methods(settings: GenerateConfig) -> GenerateConfig:
    """`settings` without what makes a call of the network dearer."""
    colour = settings.colour
    if colour is not None:
        colour = replace(colour, transport=None, guidance=None)
        colour = None if colour == ColourConfig() else colour
    return replace(settings, colour=colour, style_aligned=None, style_prompting=None, style_blend=None)


def share_of_methods(settings: GenerateConfig) -> float:
    """In how many of all calls some method is at work."""
    colour, calls = settings.colour, settings.calls
    ranged: list[Any] = [settings.style_aligned, settings.style_prompting]
    ranged += [] if colour is None else [colour.transport, colour.guidance]
    ranges = [(method.first, method.last) for method in ranged if method is not None]
    if settings.style_blend is not None or not ranges:
        return 1.0
    return sum(any(first <= done / calls < last for first, last in ranges) for done in range(calls)) / calls


def smallest(settings: CompositionConfig | None, steps: int) -> CompositionConfig | None:
    """A composition of one picture, drawn in one step, and so many steps of training."""
    if settings is None:
        return None
    return replace(settings, pictures=1, keep=1, sampling_steps=int(1 / settings.strength_min) + 1, steps=steps)
