"""The stage that trains: one LoRA a style. What is there is not made again, what was begun goes on."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from contest.disk.files import sha256
from contest.errors import UserError
from jdart.config import Config, said
from jdart.data.captions import Picture
from jdart.data.pictures import read_rgb
from jdart.engines.training import train_elsewhere
from jdart.lora.formats.file import LoraFile
from jdart.lora.formats.reading import load_lora, load_notes
from jdart.lora.formats.writing import save_lora
from jdart.lora.rank_by_noise import note_of, warn_of_whole_rank
from jdart.runs.folder import require_trained_on
from jdart.runs.init_from import load_start, start_file, start_hash
from jdart.runs.job import Event, Job
from jdart.runs.same_run import what_matters
from jdart.runs.trained import STOPPED_EARLY, is_trained, set_aside
from jdart.stages.image_prompts import learnt_encoder
from jdart.stages.learning import adapters_of, lessons, open_learner, split
from jdart.stages.prior import prior_pictures
from jdart.stages.validation import Validation
from jdart.training.lr import OPEN_ENDED
from jdart.training.watch import remark, trouble

if TYPE_CHECKING:
    from jdart.training.logs import StepRecord

log = logging.getLogger(__name__)


def train_styles(job: Job) -> Iterator[Event]:
    """One LoRA a style, or a packed one. What has its file is done."""
    every = lessons(job)
    if not every:
        yield Event("train", None, 1, 1, "left out: generate.lora_weight is 0", skipped=True)
    for name, styles in every.items():  # what the last one lacks is found before hours are spent on the first
        if is_trained(job.folder, job.config, name):
            continue
        for style in styles:
            split(job, style)
            for picture in job.references[style]:
                read_rgb(picture.path)
    if job.config.train.tensorboard:
        from jdart.training.logs import require_tensorboard

        require_tensorboard()
    for name, styles in every.items():
        steps = job.config.train.steps
        if is_trained(job.folder, job.config, name):
            notes = load_notes(job.folder.lora(name))
            require_trained_on(job.folder, notes, *styles)
            yield Event("train", name, steps, steps, _there(notes, steps), skipped=True)
        else:
            yield from _train(job, name, styles) if job.config.engine is None else train_elsewhere(job, name)
            job.note()
        yield from _also(job, name)


def require_startable(job: Job) -> None:
    """Raise UserError, before the run is noted, for what would stop it later.

    That is a file of lora.init_from that will not do, and compositions with nothing to choose their pictures by.
    """
    for name, styles in lessons(job).items():
        if not is_trained(job.folder, job.config, name):
            load_start(job.base, adapters_of(job.config, styles), name)
    composition = job.config.train.composition
    if composition is None or composition.keep == composition.pictures or job.config.score.weights is not None:
        return
    learning = [style for style in job.contest.styles if job.config.learns(style)]
    if not all(job.folder.composition.lora(style).exists() for style in learning):
        raise UserError(
            f"train.composition.keep: {composition.keep} of {composition.pictures} are chosen by the CLIP of "
            "score.weights, which is not set; name a weights folder, or keep all"
        )


def _train(job: Job, name: str, styles: Sequence[str]) -> Iterator[Event]:
    from jdart.image_prompts.learning import save_adapter
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
            images = learner.learnt_adapter()
    finally:
        learner.close()
    if _fingerprint(job, name, styles) != belongs_to:
        raise UserError(
            f"style {name}: its references, or their captions, changed while it was trained; put them back and run the "
            "same command again, or train anew in another folder, with --output"
        )
    table, end = job.folder.losses(name), len(records)
    losses = [record.loss for record in records]
    found = trouble(losses)
    if found is not None:
        log.warning("style %s: %s", name, remark(losses))
    loss_plot(records, table.with_suffix(".png"), f"Training loss, style {name}")
    settings = {
        "style": name,
        "styles": list(styles),
        "base": base.identity,
        "template": config.data.template,
        "rank": learner.config.lora.r,
        "alpha": learner.config.lora.alpha,
        **note_of(learner.config.lora.rank_by_noise),
        "prediction_type": base.schedule.prediction_type,
        **({"clip_skip": config.base.clip_skip} if config.base.clip_skip > 0 else {}),
        "seed": config.seed,
        **_started_from(config, name),
        "steps": end,
        **({STOPPED_EARLY: True} if end < config.train.steps else {}),
        **({} if found is None else {"loss": found}),
    }
    kept = set_aside(job.folder, name, styles)
    if kept is not None:
        place, pictures = kept
        yield Event("train", name, end, end, f"the LoRA before, and {pictures} pictures: in {place}")
    if words is not None:
        save_token(job.folder.token(name), *words)
    if images is not None:
        save_adapter(job.folder.ip_adapter(name), images)
    save_lora(job.folder.lora(name), LoraFile(pairs, settings))  # last: a style with this file is done


def _also(job: Job, name: str) -> Iterator[Event]:
    """Write the LoRA in the other formats that are asked for, where it is not there in them, or is newer."""
    source = job.folder.lora(name)
    for format in job.config.train.formats:
        path = job.folder.also(name, format)
        files = [path] if path.is_file() else list(path.rglob("*.*"))
        if not files or min(file.stat().st_mtime_ns for file in files) < source.stat().st_mtime_ns:
            lora = load_lora(source)
            warn_of_whole_rank(lora.settings, path, format)
            save_lora(path, lora, format)
            yield Event("train", f"{name} {format}", 1, 1, path.name)


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
    with TrainingLog(folder.losses(style), folder.events(style) if settings.tensorboard else None, records) as table:
        while len(records) < settings.steps:
            if validation.gave_up(records):
                text = f"stopped: no better for {job.config.validation.patience} validations"
                yield Event("train", style, len(records), len(records), text)
                return
            record, strip = validation.look(trainer.step())
            records.append(record)
            table.add(record, strip)
            every = settings.checkpointing_steps
            if every is not None and (record.step % every == 0 or record.step == settings.steps):
                table.flush()
                save_checkpoint(folder.checkpoint(style), Checkpoint(belongs_to, tuple(records), trainer.state()))
            yield Event("train", style, record.step, settings.steps, _text(records))


def _started_from(config: Config, name: str) -> dict[str, Any]:
    """How the file that a LoRA started from is noted."""
    path = start_file(config, name)
    return {} if path is None else {"init_from": {"file": path.name, "sha256": start_hash(path)}}


def _there(notes: Mapping[str, Any], steps: int) -> str:
    """What is said of a LoRA that need not be trained."""
    made = notes.get("steps", steps)
    why = "its validation stopped it" if notes.get(STOPPED_EARLY, False) else "not trained in this folder"
    return "there already" if made == steps else f"there already, of {made} steps: {why}"


def _text(records: Sequence[StepRecord]) -> str:
    """How training stands, in a few words."""
    seen = [record.validation_loss for record in records if record.validation_loss is not None]
    found = trouble([record.loss for record in records])
    still = "" if found is None else f", {found}"
    return f"loss {records[-1].loss:.4f}{still}" + (f", val {seen[-1]:.4f}" if seen else "")


def _fingerprint(job: Job, name: str, styles: Sequence[str]) -> str:
    """Of everything that a step of training depends on: settings, base, and pictures with their captions."""
    settings = what_matters(said(job.config))
    if job.config.train.lr_scheduler in OPEN_ENDED:
        del settings["train.steps"]
    pictures: list[Picture] = [picture for style in styles for picture in job.references[style]]
    if job.config.prior.used:
        pictures += prior_pictures(job, *styles)
    learnt = [{**asdict(picture), "path": picture.path.name, "sha256": sha256(picture.path)} for picture in pictures]
    start = start_file(job.config, name)
    settings["lora.init_from"] = None if start is None else start_hash(start)
    encoder = learnt_encoder(job)
    if encoder is not None:
        settings["train.ip_adapter.encoder"] = encoder.identity
    value = [name, settings, job.base.identity, learnt]
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
