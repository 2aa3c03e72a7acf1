"""What another engine does as it is told. The rest is refused by name: nothing is taken and then ignored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from contest.errors import UserError
from jdart.config.overrides import StyleOverride

# Of each section, what JDiffusion heeds, or jdart does around it; docs/engines.md explains the others.
HEEDED: Mapping[str, tuple[str, ...]] = {
    "base": ("model", "revision", "vae", "prediction_type"),
    "data": ("size", "template", "instance_prompt", "prior_template", "min_size", "min_aspect", "max_aspect"),
    "lora": ("r", "lora_alpha", "target_modules"),
    "text_encoder_lora": (),
    "token": (),
    "train": (
        *("steps", "batch_size", "learning_rate", "lr_scheduler", "lr_warmup_steps", "max_grad_norm", "also"),
        *("adam_beta1", "adam_beta2", "adam_weight_decay", "adam_epsilon"),
    ),
    "validation": (),
    "prior": (),
    "generate": (
        *("sampler", "steps", "guidance_scale", "guidance_rescale", "negative_prompt", "lora_weight"),
        *("num_images_per_prompt", "batch_size"),
    ),
    "memory": (),
    "search": (),
    "story": (),
}
OVERRIDES = ("seed", "negative_prompt", "guidance_scale", "guidance_rescale", "lora_weight")
SAMPLERS = ("pndm", "unipc")
TARGETS = ("to_q", "to_k", "to_v")
WEAK = "it draws without guidance below 1; take 1 or more"


def refused(config: Any, default: Any) -> list[str]:
    """One text for each setting of a Config that JDiffusion would not heed: its name, and what would do."""
    return [*_others(config, default), *_values(config), *_overrides(config.overrides)]


def require_own(config: Any, command: str) -> None:
    """UserError where another engine is set, for what only jdart's own does."""
    if config.engine is not None:
        raise UserError(f"{command} works with jdart's own engine, not with {config.engine.name}; set engine to null")


def _others(config: Any, default: Any) -> Iterator[str]:
    for section, heeded in HEEDED.items():
        own, plain = getattr(config, section), getattr(default, section)
        if own is None or plain is None:
            if own != plain:
                yield f"{section}: set it to null"
            continue
        for field in fields(own):
            value = getattr(plain, field.name)
            if field.name not in heeded and getattr(own, field.name) != value:
                yield f"{section}.{field.name}: leave it at {_spelt(value)}"


def _values(config: Any) -> Iterator[str]:
    """What it heeds has fewer values there."""
    data, lora, train, generate = config.data, config.lora, config.train, config.generate
    if data.instance_prompt is None or "{object}" in data.instance_prompt:
        yield "data.instance_prompt: it learns all pictures of a style with one caption, such as style_{id}"
    if set(lora.target_modules) != set(TARGETS) or isinstance(lora.target_modules, str):
        yield f"lora.target_modules: it trains [{', '.join(TARGETS)}], and to_out.0 never"
    if lora.lora_alpha not in (None, lora.r):
        yield "lora.lora_alpha: its alpha is the rank; leave it at null"
    if train.max_grad_norm is not None:
        yield "train.max_grad_norm: it clips no gradient; set it to null"
    if generate.sampler not in SAMPLERS:
        yield f"generate.sampler: it has {' and '.join(SAMPLERS)}"
    if generate.guidance_scale < 1:
        yield f"generate.guidance_scale: {WEAK}"


def _overrides(overrides: Mapping[str, StyleOverride]) -> Iterator[str]:
    for style, own in overrides.items():
        prompts = {f"{style}.prompts.{prompt}": each for prompt, each in own.prompts.items()}
        for place, each in {style: own, **prompts}.items():
            for field in fields(each):
                if field.name not in (*OVERRIDES, "prompts") and getattr(each, field.name) is not None:
                    yield f"overrides.{place}.{field.name}: leave it out"
            if each.guidance_scale is not None and each.guidance_scale < 1:
                yield f"overrides.{place}.guidance_scale: {WEAK}"


def _spelt(value: Any) -> str:
    """A default as YAML has it."""
    words = {None: "null", True: "true", False: "false", "": '""', (): "[]"}
    return words[value] if isinstance(value, (bool, str, tuple, type(None))) and value in words else str(value)
