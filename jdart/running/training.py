"""The stage that trains: one LoRA a style. What is there is not made again, what was begun goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from jdart.config import to_mapping
from jdart.data.captions import Picture
from jdart.data.pictures import read_rgb
from jdart.lora.file import LoraFile
from jdart.lora.reading import load_lora
from jdart.lora.writing import save_lora
from jdart.running.folder import require_trained_on, what_matters
from jdart.running.job import Event, Job
from jdart.running.learning import lessons, open_learner, split
from jdart.running.prior import prior_pictures
from jdart.running.validation import Validation
from submission.files import sha256

if TYPE_CHECKING:
    from jdart.training.logs import StepRecord


def train_styles(job: Job) -> Iterator[Event]:
    """One LoRA a style, or a packed one. What has its file is done."""
    every = lessons(job)
    if not every:
        yield Event("train", None, 1, 1, "left out: generate.lora_weight is 0", skipped=True)
    for style in (
        style for styles in every.values() for style in styles
    ):  # a broken picture of the last style is found before hours are spent on the first
        if not job.folder.lora(style).exists():
            split(job, style)
            for picture in job.references[style]:
                read_rgb(picture.path)
    if job.config.train.tensorboard:
        from jdart.training.logs import require_tensorboard

        require_tensorboard()
    for name, styles in every.items():
        steps = job.config.train.steps
        if job.folder.lora(name).exists():
            require_trained_on(job.folder, load_lora(job.folder.lora(name)).settings, *styles)
            yield Event("train", name, steps, steps, "there already", skipped=True)
            continue
        yield from _train(job, name, styles)
        job.note()


def _train(job: Job, name: str, styles: Sequence[str]) -> Iterator[Event]:
    from jdart.lora.token import save_token
    from jdart.training.loop import Trainer
    from jdart.training.plots import loss_plot

    config, base = job.config, job.base
    belongs_to = _fingerprint(job, name, styles)
    learner, measured = open_learner(job, name, styles)
    records: list[StepRecord] = []
    try:
        trainer = Trainer(learner, config.train)
        yield from _steps(job, name, Validation(job, name, tuple(styles), trainer, measured), belongs_to, records)
        with trainer.averaged():
            if any(record.learning_rate > 0 for record in records):
                learner.require_trained()
            pairs = learner.pairs()
            words = learner.learnt_words()
    finally:
        learner.close()
    losses = job.folder.losses(name)
    loss_plot(records, losses.with_suffix(".png"), f"Training loss, style {name}")
    settings = {
        "style": name,
        "styles": list(styles),
        "base": base.identity,
        "template": config.data.template,
        "rank": learner.config.lora.r,
        "alpha": learner.config.lora.alpha,
        "seed": config.seed,
        "steps": len(records),
    }
    if words is not None:
        save_token(job.folder.token(name), *words)
    save_lora(job.folder.lora(name), LoraFile(pairs, settings))  # last: a style with this file is done


def _steps(job: Job, style: str, validation: Validation, belongs_to: str, records: list[StepRecord]) -> Iterator[Event]:
    """Train from the last checkpoint, or from the beginning, to the end; fills `records`."""
    from jdart.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
    from jdart.training.logs import TrainingLog

    settings, folder, trainer = job.config.train, job.folder, validation.trainer
    checkpoint = load_checkpoint(folder.checkpoint(style), belongs_to)
    if checkpoint is not None:
        records.extend(checkpoint.records)
        trainer.restore(len(records), checkpoint.tensors)
        yield Event("train", style, len(records), settings.steps, "goes on from its checkpoint", skipped=True)
    with TrainingLog(folder.losses(style), folder.events(style) if settings.tensorboard else None, records) as log:
        while len(records) < settings.steps:
            if validation.gave_up(records):
                text = f"stopped: no better for {job.config.validation.patience} validations"
                yield Event("train", style, len(records), len(records), text)
                return
            record, strip = validation.look(trainer.step())
            records.append(record)
            log.add(record, strip)
            if settings.checkpointing_steps is not None and record.step % settings.checkpointing_steps == 0:
                log.flush()
                save_checkpoint(folder.checkpoint(style), Checkpoint(belongs_to, tuple(records), trainer.state()))
            yield Event("train", style, record.step, settings.steps, _text(records))


def _text(records: Sequence[StepRecord]) -> str:
    """How training stands, in a few words."""
    seen = [record.validation_loss for record in records if record.validation_loss is not None]
    return f"loss {records[-1].loss:.4f}" + (f", val {seen[-1]:.4f}" if seen else "")


def _fingerprint(job: Job, name: str, styles: Sequence[str]) -> str:
    """Of everything that a step of training depends on: settings, base, and pictures with their captions."""
    pictures: list[Picture] = [picture for style in styles for picture in job.references[style]]
    if job.config.prior.used:
        pictures += prior_pictures(job, *styles)
    learnt = [{**asdict(picture), "path": picture.path.name, "sha256": sha256(picture.path)} for picture in pictures]
    value = [name, what_matters(to_mapping(job.config)), job.base.identity, learnt]
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
