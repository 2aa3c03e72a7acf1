"""What a LoRA of a run learns: one style, or with packed training all of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from contest.errors import UserError
from jdart.config import Config
from jdart.data.captions import Picture
from jdart.data.seeds import rng_for
from jdart.runs.folder import PACKED
from jdart.runs.init_from import load_start, log_start
from jdart.runs.job import Job
from jdart.stages.image_prompts import image_features
from jdart.stages.prior import prior_pictures

if TYPE_CHECKING:
    from jdart.training.examples import Examples
    from jdart.training.learner import Learner


def lessons(job: Job) -> dict[str, tuple[str, ...]]:
    """The LoRAs to train, by name, each with the styles that it learns."""
    styles = tuple(style for style in job.contest.styles if job.config.learns(style))
    if job.config.train.packed:
        return {PACKED: tuple(job.contest.styles)} if styles else {}
    return {style: (style,) for style in styles}


def split(job: Job, style: str) -> tuple[list[Picture], list[Picture]]:
    """(references to train on, references held out for the validation loss), drawn from the run's seed."""
    pictures, count = job.references[style], job.config.validation.hold_out
    if count >= len(pictures):
        raise UserError(
            f"validation.hold_out: {count} of style {style}'s {len(pictures)} pictures leaves none to train on"
        )
    order = rng_for("hold out", job.config.seed, style).permutation(len(pictures))
    chosen = set(order[:count].tolist())
    return (
        [picture for number, picture in enumerate(pictures) if number not in chosen],
        [picture for number, picture in enumerate(pictures) if number in chosen],
    )


def adapters_of(config: Config, styles: Sequence[str]) -> Config:
    """The configuration with the ranks of one LoRA: a packed one is as many times as large as it has styles."""
    if not config.train.packed:
        return config
    lora, text = config.lora.times(len(styles)), config.text_encoder_lora.times(len(styles))
    return replace(config, lora=lora, text_encoder_lora=text)


def open_learner(job: Job, name: str, styles: Sequence[str]) -> tuple[Learner, Examples]:
    """A learner of `styles` at its start, to be closed by the caller, and what its validation is measured on."""
    from jdart.training.examples import encode
    from jdart.training.learner import Learner

    config, base = adapters_of(job.config, styles), job.base
    parts = [split(job, style) for style in styles]
    pictures = [picture for chosen, _ in parts for picture in chosen]
    held_out = [picture for _, left in parts for picture in left]
    instance = encode(base, pictures, config.data, config.seed, config.frozen_text)
    measured = encode(base, held_out, config.data, config.seed, config.frozen_text) if held_out else instance
    prior = None
    if config.prior.used:
        prior = encode(base, prior_pictures(job, *styles), config.data.of_prior(), config.seed, config.frozen_text)
    start = load_start(base, config, name)
    learner = Learner(base, config, name, instance, prior, start, image_features(job, pictures))
    if start is not None:
        log_start(config, name, learner, start)
    return learner, measured
