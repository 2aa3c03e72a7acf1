"""What another run has learnt, taken over instead of learnt again."""

from __future__ import annotations

from pathlib import Path

from jdart.running.folder import RunFolder
from jdart.running.job import Job
from jdart.running.learning import lessons
from submission.errors import UserError
from submission.files import write_bytes


def take_loras(job: Job, run: Path) -> None:
    """Copy the LoRAs of another run folder, with their tokens, where the job has none yet. What it lacks is trained.

    Raises UserError when there is no such folder.
    """
    if not run.is_dir():
        raise UserError(f"{run}: no such run folder; name one with LoRAs in it")
    other = RunFolder(run, job.folder.packed)
    for name in lessons(job):
        lora, token = other.lora(name), other.token(name)
        if lora.exists() and not job.folder.lora(name).exists():
            if token.exists():
                write_bytes(job.folder.token(name), token.read_bytes())
            write_bytes(job.folder.learnt(name) / lora.name, lora.read_bytes())  # last: with this file it is done
