"""How much time, memory and disk a run will take: measured costs of its steps, times what is left to do.

The check, the score, the archive's packing and the board are not counted, nor kernels that are compiled once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Optional

from contest.console import MISUSE
from contest.errors import UserError
from jdart.config import Config
from jdart.jobs.devices import EXECUTORS, parse_devices, threads_for
from jdart.jobs.processes import crashed, why
from jdart.jobs.tasks import Task


@dataclass(frozen=True)
class Costs:
    """What a part of the work costs on this machine, in seconds and bytes."""

    start: float  # of a process, until it has the base's weights
    style: float  # of a LoRA's training beside all below: its adapters made, its files written
    step: float  # one update of the weights
    look: float  # the loss of one validation
    encoding: float  # one picture and its caption
    batch: float  # of a batch of pictures beside its UNet calls
    call: float  # one step of the sampler for a batch
    memory: int  # of the process, at its peak
    device_memory: Optional[int]  # on the GPU
    lora: int  # its file
    picture: int  # its file, at a mean
    sheet: int
    plain_call: float = 0.0  # as `call`, of the base without what `generate` adds to it
    composition_step: float = 0.0  # one update of the text encoder's LoRA, for StyleBlend
    composition_lora: int = 0  # its file
    ways: Sequence[tuple[float, float]] = ()  # `batch` and `call` of each of `own_ways`, all methods at work


@dataclass(frozen=True)
class Work:
    """What is left to do for a style, or a stage that the styles share (style None)."""

    style: Optional[str]
    steps: int = 0  # of training
    encodings: int = 0  # pictures
    batches: int = 0  # of pictures to draw
    calls: float = 0  # sampler steps of all these batches; one that is not guided counts half
    pictures: int = 0
    candidates: int = 0  # of the pictures: those beside the entry's
    looks: int = 0  # validations
    look_batches: int = 0  # of pictures to draw in each
    look_calls: float = 0  # sampler steps of all batches of one
    plain_calls: float = 0  # sampler steps without methods: the prior's, and where those of `ways` are not at work
    ways: Sequence[tuple[int, int, float]] = ()  # number of one of `own_ways`, batches drawn so, sampler steps of them
    composition_steps: int = 0  # of its training
    composition_pictures: int = 0  # to learn it from
    composition_batches: int = 0  # of these
    composition_calls: int = 0  # sampler steps of all these batches

    def training_seconds(self, costs: Costs) -> float:
        """With what is drawn to look at it, and with a composition."""
        composition = self.composition_batches * costs.batch + self.composition_calls * costs.plain_call
        composition += self.composition_steps * costs.composition_step + self.composition_pictures * costs.encoding
        if self.steps == 0:
            return composition
        look = costs.look + self.look_batches * costs.batch + self.look_calls * costs.call
        own = costs.style + self.encodings * costs.encoding + self.steps * costs.step + self.looks * look
        return own + composition

    def drawing_seconds(self, costs: Costs) -> float:
        run = self.batches * costs.batch + self.calls * costs.call + self.plain_calls * costs.plain_call
        own = [(costs.ways[way], batches, calls) for way, batches, calls in self.ways]
        return run + sum(batches * batch + calls * call for (batch, call), batches, calls in own)

    def seconds(self, costs: Costs) -> float:
        """Without the start of a process."""
        return self.training_seconds(costs) + self.drawing_seconds(costs)


@dataclass(frozen=True)
class Plan:
    """The needs of a run, in seconds and bytes."""

    seconds: float
    training_seconds: float
    drawing_seconds: float
    searching_seconds: Optional[float]  # instead of drawing, by jdart search, without scoring; None: no section search
    searched: int  # pictures of that
    memory: int  # of all workers at once
    device_memory: Optional[int]  # of each GPU
    lora_bytes: int
    checkpoint_bytes: int  # weights and both moments of every LoRA
    picture_bytes: int  # with the prior's and the contact sheets
    archive_bytes: int
    workers: int
    costs: Costs

    @property
    def disk(self) -> int:
        """All files together."""
        return self.lora_bytes + self.checkpoint_bytes + self.picture_bytes + self.archive_bytes


def estimate(
    costs: Costs, works: Sequence[Work], workers: Optional[int], searches: Optional[Sequence[Work]] = None
) -> Plan:
    """Costs times work, on so many workers, or one style after another in one process (None).

    `searches` is what a search draws instead of the pictures of `works`.
    """
    left = [work for work in works if work.steps or work.pictures or work.composition_steps]
    shared = [work for work in left if work.style is None]
    styles = [work for work in left if work.style is not None]
    before = sum(work.seconds(costs) for work in shared)
    if workers is None:
        seconds = before + sum(work.seconds(costs) for work in styles)
        seconds += costs.start if shared or styles else 0.0
    else:
        ends = [0.0] * workers
        for work in styles:  # each goes to the worker that is free first, as the executor has it
            ends[ends.index(min(ends))] += costs.start + work.seconds(costs)
        seconds = before + len(shared) * costs.start + max(ends)
    trained = sum(work.steps > 0 for work in left)
    loras = trained * costs.lora + sum(work.composition_steps > 0 for work in left) * costs.composition_lora
    drawn = sum(work.pictures + work.composition_pictures + work.looks * work.look_batches for work in left)
    return Plan(
        seconds=seconds,
        training_seconds=sum(work.training_seconds(costs) for work in left),
        drawing_seconds=sum(work.drawing_seconds(costs) for work in left),
        searching_seconds=None if searches is None else sum(work.drawing_seconds(costs) for work in searches),
        searched=sum(work.pictures for work in searches or ()),
        memory=costs.memory * (1 if workers is None else min(workers, max(1, len(styles)))),
        device_memory=costs.device_memory,
        lora_bytes=loras,
        checkpoint_bytes=3 * loras,
        picture_bytes=drawn * costs.picture + sum(work.pictures > 0 for work in styles) * costs.sheet,
        archive_bytes=sum(work.pictures - work.candidates for work in styles) * costs.picture,
        workers=1 if workers is None else workers,
        costs=costs,
    )


def plan_run(config: Config, device: str, devices: Optional[str]) -> Plan:
    """The plan of a run, from steps measured in a process of its own; `device` and `devices` as jdart run has them.

    UserError as `measure_apart` has it, and for devices that are none.
    """
    environment = dict(os.environ)
    workers = None if devices is None else parse_devices(devices, EXECUTORS[0])
    if workers is not None:
        device = "cpu" if workers[0] == "cpu" else "cuda"
        environment["OMP_NUM_THREADS"] = str(threads_for(len(workers)))
        if device == "cuda":
            environment["CUDA_VISIBLE_DEVICES"] = workers[0]
    costs, works, searches = measure_apart(config, device, environment)
    return estimate(costs, works, None if workers is None else len(workers), searches)


def measure_apart(
    config: Config, kind: str, environment: Mapping[str, str]
) -> tuple[Costs, list[Work], Optional[list[Work]]]:
    """Measure in a process of its own on "cpu" or "cuda", whose memory is that of this work alone.

    Last comes the work of a search, where the configuration has a section for one.

    Raises UserError with what that process says when it fails.
    """

    def measure() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "jdart", "measure", str(time.time())],
            input=Task("plan", (), config).to_json(kind) + "\n",
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    process = measure()
    if crashed(process.returncode):
        process = measure()
    if process.returncode != 0:
        said = why(process.returncode, process.stderr)
        raise UserError(said if process.returncode == MISUSE else f"measuring failed: {said}")
    raw = json.loads(process.stdout)
    searches = None if config.search is None else [Work(**work) for work in raw["searches"]]
    return Costs(**raw["costs"]), [Work(**work) for work in raw["works"]], searches


def to_json(plan: Plan) -> str:
    """The plan with its costs, as indented JSON."""
    return json.dumps({**asdict(plan), "disk_bytes": plan.disk}, indent=1)
