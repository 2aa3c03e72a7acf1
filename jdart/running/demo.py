"""The demonstration: one configuration as four entries, which one board sets side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from contest.errors import UserError
from jdart.config import Config, SearchConfig
from jdart.config.vary import varied
from jdart.running.pipeline import publish_board, require_scorable, stages
from jdart.runs.folder import RunFolder
from jdart.runs.job import Event, Job, open_job
from jdart.stages.borrowing import take_loras

Entry = tuple[Job, Mapping[str, Callable[[], Iterator[Event]]]]
SEARCH = SearchConfig(
    candidates=4,
    vary={"generate.guidance_scale": [2.5, 3.0, 4.0], "generate.strength": [0.8, 0.85, 0.9]},
)


def entries_of(config: Config) -> tuple[Config, ...]:
    """The plain base, the LoRA, the LoRA with the start from the average image, and the best of some candidates.

    The last has guidance by colour too. Each has a run folder of its own.
    """
    if config.generate.strength is None:
        raise UserError("generate.strength: not set, so that nothing starts from the average image; take 0.7")
    out, searching = Path(config.output), SEARCH if config.search is None else config.search
    config = replace(config, search=None)
    average = replace(config, name="LoRA + average image", output=str(out / "3-lora-average-image"))
    from_noise = replace(config.generate, strength=None)
    lora = replace(config, name="LoRA", output=str(out / "2-lora"), generate=from_noise)
    unlearnt = replace(from_noise, lora_weight=0.0)
    plain = replace(config, name="plain base", output=str(out / "1-plain-base"), generate=unlearnt)
    if config.score.weights is None:  # nothing to choose by
        return plain, lora, average
    guided = varied(config.generate, {"generate.colour.guidance": {}}, "jdart-best")
    best = replace(config, name="jdart-best", output=str(out / "4-jdart-best"), generate=guided, search=searching)
    return plain, lora, average, best


def open_entries(config: Config) -> tuple[Job, ...]:
    """Look up everything that the entries need, and note them, before anything is computed. Raises UserError."""
    jobs = tuple(open_job(entry) for entry in entries_of(config))
    jobs = tuple(replace(job, base=jobs[0].base) for job in jobs)  # its networks are read once
    require_scorable(jobs[0])
    for job in jobs:
        job.note()
    return jobs


def entry_stages(jobs: tuple[Job, ...], device: str) -> Iterator[Entry]:
    """Each entry with its stages, to be run before the next is asked for. Those with LoRAs have the same ones."""
    _, lora, *others = jobs
    for job in jobs:
        if any(job is other for other in others):
            take_loras(job, lora.folder.root)
            job.note()
        every = stages(job, device)
        draw = "generate" if job.config.search is None else "search"
        yield job, {name: every[name] for name in ("train", draw, "check", "score", "build")}


def build_board(jobs: tuple[Job, ...], out: Path) -> Path | None:
    """The board of all entries; its page, or None where nothing was scored."""
    site = RunFolder(out).site
    for _ in publish_board([job.folder.report for job in jobs], site, f"jdart demo: {jobs[0].contest.name}"):
        pass
    page = site / "index.html"
    return page if page.exists() else None
