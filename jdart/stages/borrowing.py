"""What another run has learnt, taken over instead of learnt again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from contest.disk.files import copy_file, sha256
from contest.errors import UserError
from jdart.runs.folder import RunFolder
from jdart.runs.job import Job
from jdart.stages.learning import lessons

log = logging.getLogger(__name__)


def take_loras(job: Job, run: Path, put: Callable[[Path, Path], None] = copy_file) -> None:
    """Copy the LoRAs of another run folder, with their tokens, where the job has none yet. What it lacks is trained.

    `put` (target, source) is `link_file` where both are ours. What is not taken is logged.
    Raises UserError when there is no such folder, or no LoRA in it.
    """
    if not run.is_dir():
        raise UserError(f"{run}: no such run folder; name one with LoRAs in it")
    other = RunFolder(run, job.folder.packed)
    names = list(lessons(job))
    lacking = [name for name in names if not other.lora(name).exists()]
    if names and not any(run.glob("lora/*/*")):
        raise UserError(f"{run}: no LoRA in it; name a run folder that has been trained, or leave --loras out")
    if lacking:
        log.warning("--loras %s: has no LoRA of %s", run, ", ".join(lacking))
    if not names:
        log.warning("--loras %s: not used, with generate.lora_weight: 0", run)
    for name in names:
        lora, own = other.lora(name), job.folder.lora(name)
        if lora.exists() and own.exists() and sha256(lora) != sha256(own):
            log.warning("--loras %s: its LoRA of %s is not used, %s has another", run, name, job.folder.root)
        if lora.exists() and not own.exists():
            for beside in (other.token(name), other.ip_adapter(name)):
                if beside.exists():
                    put(job.folder.learnt(name) / beside.name, beside)
            put(job.folder.learnt(name) / lora.name, lora)  # last: with this file it is done
    for style in job.contest.styles if job.config.train.composition is not None else ():
        lora, own = other.composition.lora(style), job.folder.composition.lora(style)
        if lora.exists() and not own.exists():
            put(own, lora)
