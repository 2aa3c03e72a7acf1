"""What a user should hear before a run begins: what was given and is not used, LoRAs of another base."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from jdart.config.idle import contrary_settings, idle_overrides, idle_settings
from jdart.lora.origin import from_another_base
from jdart.models.single_file.convert import is_assumed
from jdart.runs.init_from import start_file
from jdart.runs.job import Job
from jdart.stages.learning import lessons

log = logging.getLogger(__name__)


def warn_of_other_bases(job: Job) -> None:
    """One warning for all LoRAs that this run will use and that were trained on another base."""
    said: dict[str, list[Path]] = {}
    for path in dict.fromkeys(_loras(job)):
        remark = from_another_base(path, job.base)
        if remark is not None:
            said.setdefault(remark, []).append(path)
    for remark, paths in said.items():
        more = f" (and {len(paths) - 1} more)" if len(paths) > 1 else ""
        log.warning("%s%s: %s (this run: %s)", paths[0], more, remark, job.config.base.model)


def warn_of_idle_settings(job: Job) -> None:
    """A line for each setting that was given and does nothing, works against another, or had to be guessed."""
    config = job.config
    for line in [
        *idle_settings(config),
        *contrary_settings(config),
        *idle_overrides(config, tuple(job.contest.styles)),
    ]:
        log.warning(line)
    if config.base.revision is not None and job.revision is None:
        log.warning(
            "base.revision: %s does nothing with %s, which is no hub id", config.base.revision, config.base.model
        )
    if config.base.prediction_type is None and is_assumed(job.base.folder):
        predicts = job.base.schedule.prediction_type
        other = "epsilon" if predicts == "v_prediction" else "v_prediction"
        log.warning(
            "%s does not say what it predicts: %s is assumed; if pictures are noise, set base.prediction_type: %s",
            *(config.base.model, predicts, other),
        )
    if not lessons(job) and config.prior.used:
        log.warning("prior: its pictures are drawn and not learnt, with generate.lora_weight: 0")
    if not lessons(job) and config.lora.init_from is not None:
        log.warning("lora.init_from: %s does nothing with generate.lora_weight: 0", config.lora.init_from)


def _loras(job: Job) -> Iterator[Path]:
    config, folder = job.config, job.folder
    for name in lessons(job):
        start = start_file(config, name)
        if folder.lora(name).exists():
            yield folder.lora(name)
        elif start is not None:
            yield start
    overrides = [own for style, own in config.overrides.items() if style in job.contest.styles]
    every = [config.generate.loras, *(each.loras for own in overrides for each in own.every)]
    yield from (Path(lora.path) for loras in every if loras is not None for lora in loras)
