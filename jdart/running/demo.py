"""The demonstration: one configuration as three entries, which one board sets side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from contest.errors import UserError
from jdart.config import Config
from jdart.running.pipeline import publish_board, require_scorable, stages
from jdart.runs.folder import RunFolder
from jdart.runs.job import Event, Job, open_job
from jdart.stages.borrowing import take_loras

Entry = tuple[Job, Mapping[str, Callable[[], Iterator[Event]]]]
STAGES = ("train", "generate", "check", "score", "build")


def entries_of(config: Config) -> tuple[Config, Config, Config]:
    """The plain base, the LoRA, and the LoRA with the start from the average image, each in a run folder of its own."""
    if config.generate.strength is None:
        raise UserError("generate.strength: not set, so that nothing starts from the average image; take 0.7")
    out = Path(config.output)
    average = replace(config, name="LoRA + average image", output=str(out / "3-lora-average-image"))
    from_noise = replace(config.generate, strength=None)
    lora = replace(config, name="LoRA", output=str(out / "2-lora"), generate=from_noise)
    unlearnt = replace(from_noise, lora_weight=0.0)
    plain = replace(config, name="plain base", output=str(out / "1-plain-base"), generate=unlearnt)
    return plain, lora, average


def open_entries(config: Config) -> tuple[Job, ...]:
    """Look up everything that the entries need, and note them, before anything is computed. Raises UserError."""
    jobs = tuple(open_job(entry) for entry in entries_of(config))
    jobs = tuple(replace(job, base=jobs[0].base) for job in jobs)  # its networks are read once
    require_scorable(jobs[0])
    for job in jobs:
        job.note()
    return jobs


def entry_stages(jobs: tuple[Job, ...], device: str) -> Iterator[Entry]:
    """Each entry with its stages, to be run before the next is asked for. Both LoRA entries have the same LoRAs."""
    _, lora, average = jobs
    for job in jobs:
        if job is average:
            take_loras(job, lora.folder.root)
            job.note()
        every = stages(job, device)
        yield job, {name: every[name] for name in STAGES}


def build_board(jobs: tuple[Job, ...], out: Path) -> Path | None:
    """The board of all entries; its page, or None where nothing was scored."""
    site = RunFolder(out).site
    for _ in publish_board([job.folder.report for job in jobs], site, f"jdart demo: {jobs[0].contest.name}"):
        pass
    page = site / "index.html"
    return page if page.exists() else None
