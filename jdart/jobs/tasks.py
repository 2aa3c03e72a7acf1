"""What an executor is given and what it tells: a style's work for a process of its own, and how far that is.

An executor is a function that takes tasks and yields `Progress`. Tasks meet only through the run folder: each writes
the files of its own style, and none writes run.json, which the process that started them keeps.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from jdart.config import Config, from_mapping, to_mapping
from jdart.runs.folder import RunFolder
from jdart.runs.job import Event, Job
from jdart.runs.trained import goes_on, stale_pictures

WAITING, RUNNING, DONE, FAILED, THERE = "waiting", "running", "done", "failed", "there already"
HEADING = "=== "  # begins a process in a log
WARNED = "WARNING "  # begins a warning in it
STYLE_STAGES = ("train", "generate")  # what every style does for itself; other stages concern all styles


@dataclass(frozen=True)
class Task:
    """Stages of a run for some of its styles, done in one process. `name` is a style, or what the styles share."""

    name: str
    stages: tuple[str, ...]
    config: Config

    @property
    def log(self) -> Path:
        """Where its process's words go."""
        return RunFolder.of(self.config).log(self.name)

    def to_json(self, device: str) -> str:
        """The task for a process on `device` ("cpu" or "cuda"), in one line."""
        return json.dumps({"stages": self.stages, "device": device, "config": to_mapping(self.config)})


def task_from_json(text: str) -> tuple[Config, tuple[str, ...], str]:
    """Configuration, stages and device of `Task.to_json`."""
    raw = json.loads(text)
    return from_mapping(raw["config"], "task"), tuple(raw["stages"]), raw["device"]


@dataclass(frozen=True)
class Progress:
    """How far a task is. `text` says why it failed."""

    task: str
    state: str
    device: str = ""
    event: Optional[Event] = None
    text: str = ""


Stream = Generator[Progress, None, None]  # closing it ends what is still at work


def event_from_json(line: str) -> Event:
    """An event that another process wrote with `event_to_json`."""
    return Event(**json.loads(line))


def event_to_json(event: Event) -> str:
    """An event in one line."""
    return json.dumps(dataclasses.asdict(event))


def shared_stages(job: Job, stages: Sequence[str]) -> tuple[str, ...]:
    """Those of `stages` that are done for all styles at once, before each goes on for itself."""
    needed = {"prior": job.config.prior.used, "train": job.config.train.packed}
    return tuple(stage for stage, shared in needed.items() if shared and stage in stages)


def style_tasks(job: Job, stages: Sequence[str]) -> tuple[Task, ...]:
    """One task a style, for those of `stages` that a style does for itself."""
    shared = shared_stages(job, stages)
    chosen = tuple(stage for stage in STYLE_STAGES if stage in stages and stage not in shared)
    return tuple(Task(style, chosen, _pinned(job, (style,))) for style in job.contest.styles) if chosen else ()


def search_task(job: Job, style: str, candidates: int) -> Task:
    """The drawing of a style's candidates up to so many of each prompt."""
    config, search = _pinned(job, (style,)), job.config.search
    assert search is not None
    return Task(
        style, ("candidates",), dataclasses.replace(config, search=dataclasses.replace(search, candidates=candidates))
    )


def shared_task(job: Job, stage: str) -> Task:
    """A stage that is done once for all styles, in a process of its own: its memory is free again afterwards."""
    return Task(stage, (stage,), _pinned(job, tuple(job.contest.styles)))


def _pinned(job: Job, styles: tuple[str, ...]) -> Config:
    """The configuration for these styles, with the base's revision as the run found it."""
    base = dataclasses.replace(job.config.base, revision=job.revision)
    return dataclasses.replace(job.config, styles=styles, base=base)


def is_there(task: Task, folder: RunFolder, prompts: Mapping[str, Sequence[str]]) -> bool:
    """Whether everything that a style's task makes is there already, so that no process need be started to see it."""
    name, config, made = task.name, task.config, []
    if name not in prompts:
        return False
    if config.learns(name) and goes_on(folder, config, name):
        return False
    if "train" in task.stages and config.learns(name):
        made += [folder.lora(name), *(folder.also(name, format) for format in config.train.formats)]
        made += [] if config.train.composition is None else [folder.composition.lora(name)]
    if "generate" in task.stages:
        if stale_pictures(folder, config, name, prompts[name]):
            return False
        made += folder.drawn(name, prompts[name], config.generate.num_images_per_prompt)
    return len(made) > 0 and all(path.exists() for path in made)


def last_words(log: str) -> str:
    """The last line of a log that says anything, if the last process said anything at all."""
    said = next((line.strip() for line in reversed(log.splitlines()) if line.strip()), "")
    return "" if said.startswith(HEADING) else said.removeprefix("error: ")


def warnings_in(log: str) -> list[str]:
    """What the last process in a log warned of, each once."""
    lines = log.rpartition(HEADING)[2].splitlines()
    return list(dict.fromkeys(line[len(WARNED) :].strip() for line in lines if line.startswith(WARNED)))
