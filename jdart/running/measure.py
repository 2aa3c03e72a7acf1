"""What a run's steps cost on this machine: its own stages on a miniature run in a temporary folder, and a stopwatch."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import replace
from math import ceil
from pathlib import Path
from statistics import median

import numpy as np

from jdart.running.drawing import generate_styles
from jdart.running.folder import RunFolder
from jdart.running.job import Job
from jdart.running.plan import Costs, Work
from jdart.running.prior import prior_prompts
from jdart.running.training import train_styles

STEPS = 6  # of training
CALLS = (1, 4)  # of the sampler; the difference of two batches is free of what a batch costs beside its calls
QUICK = 3.0  # seconds; what takes less is measured three times, and the fastest counts


def measure(job: Job, begun: float) -> Costs:
    """Train and draw a little with the job's settings, after all kernels are there. `begun`: the time.time() of old."""
    base = job.base
    for part in (base.unet, base.vae, base.text_encoder, base.tokenizer):
        assert part is not None  # read here, so that the start is measured with it
    start = time.time() - begun
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in (folder / "warm", folder / "train"):
            run = _miniature(job, path, CALLS[0])
            _fake_prior(run)
            moments = [time.perf_counter(), *(time.perf_counter() for _ in train_styles(run))]
            _drawing(run)
        step = median(np.diff(moments)[1:])
        runs = [_miniature(job, folder / f"draw {calls}", calls) for calls in CALLS]
        few, more = (_fastest(each, folder / "train" / "lora") for each in runs)
        first, last = (_calls(each) for each in runs)
        call = max(0.0, more - few) / (last - first)
        style = next(iter(run.contest.styles))
        drawn = list(run.folder.images.rglob("*.png"))
        return Costs(
            start=start,
            style=max(0.0, moments[-1] - moments[0] - STEPS * step),
            step=step,
            encoding=_encoding(job),
            batch=max(0.0, few - first * call),
            call=call,
            memory=_peak_memory(),
            device_memory=_device_memory(),
            lora=run.folder.lora(style).stat().st_size,
            picture=sum(path.stat().st_size for path in drawn) // len(drawn),
            sheet=run.folder.sheet(style).stat().st_size,
        )


def _drawing(job: Job) -> float:
    """Seconds to draw what is missing."""
    begun = time.perf_counter()
    for _ in generate_styles(job):
        pass
    return time.perf_counter() - begun


def _fastest(job: Job, loras: Path) -> float:
    """Seconds to draw the job's pictures; other work on the machine can only add to it."""
    seconds: list[float] = []
    while len(seconds) < 3 and sum(seconds) < QUICK:
        again = replace(job, folder=replace(job.folder, root=job.folder.root / str(len(seconds))))
        shutil.copytree(loras, again.folder.root / "lora")
        seconds.append(_drawing(again))
    return min(seconds)


def _miniature(job: Job, folder: Path, calls: int) -> Job:
    """The job with one style, one reference and one batch of pictures."""
    style, prompts = next(iter(job.contest.styles.items()))
    strength = job.config.generate.strength
    config = replace(
        job.config,
        output=str(folder),
        train=replace(job.config.train, steps=STEPS),
        prior=replace(job.config.prior, images_per_prompt=1),
        generate=replace(job.config.generate, steps=ceil(calls / (1.0 if strength is None else strength))),
    )
    contest = replace(job.contest, styles={style: tuple(prompts[: config.generate.batch_size])})
    references = {style: job.references[style][:1]}
    return replace(
        job,
        config=config,
        folder=RunFolder.of(config),
        contest=contest,
        references=references,
        notes=False,
    )


def _calls(job: Job) -> int:
    """Sampler steps of a batch."""
    settings = job.config.generate
    return settings.steps if settings.strength is None else int(settings.steps * settings.strength)


def _fake_prior(job: Job) -> None:
    """Pictures of nothing, where the training looks for the base model's."""
    from PIL import Image

    if job.config.prior.used:
        for style in job.contest.styles:
            for prompt in prior_prompts(job, style):
                path = job.folder.prior(prompt, 0)
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (job.config.data.size,) * 2, "grey").save(path)


def _encoding(job: Job) -> float:
    """Seconds for one picture through the VAE and one caption through the text encoder, with warm kernels."""
    import jittor as jt

    from jdart.models.encode import encode_text

    size, seconds = job.config.data.size, 0.0
    for _ in range(2):
        begun = time.perf_counter()
        with jt.no_grad():
            for part in job.base.vae.encode(jt.array(np.zeros((1, 3, size, size), np.float32))):
                part.numpy()
        encode_text(job.base, job.base.tokens(["an image"]))
        seconds = time.perf_counter() - begun
    return seconds


def _peak_memory() -> int:
    """Bytes of main memory that this process held at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def _device_memory() -> int | None:
    """Bytes that this process holds on GPUs; Jittor keeps what it once took. None without any."""
    try:
        table = subprocess.run(
            ["nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    rows = [line.split(",") for line in table.splitlines()]
    used = [int(row[1]) << 20 for row in rows if len(row) == 2 and row[0].strip() == str(os.getpid())]
    return sum(used) if used else None


def work_of(job: Job) -> list[Work]:
    """What is left to do: the prior's pictures, then each style's training and pictures."""
    config, folder = job.config, job.folder
    views = config.data.crops * (2 if config.data.flip else 1)
    size, calls = config.generate.batch_size, _calls(job)
    works: list[Work] = []
    wanted: dict[Path, None] = {}  # two styles may want the same one
    for style, prompts in job.contest.styles.items():
        encodings = steps = 0
        plain = prior_prompts(job, style) if config.prior.used else ()
        wanted.update({folder.prior(p, n): None for p in plain for n in range(config.prior.images_per_prompt)})
        if not folder.lora(style).exists():
            steps = config.train.steps
            encodings = views * (len(job.references[style]) + len(plain) * config.prior.images_per_prompt)
        batches, missing = _missing([folder.image(style, prompt) for prompt in prompts], size)
        works.append(Work(style, steps, encodings, batches, calls, missing))
    batches, missing = _missing(list(wanted), size)
    return [Work(None, 0, 0, batches, config.prior.steps, missing), *works]


def _missing(paths: list[Path], size: int) -> tuple[int, int]:
    """Batches to draw, which are drawn whole, and pictures that are not there."""
    absent = [not path.exists() for path in paths]
    return sum(any(absent[i : i + size]) for i in range(0, len(absent), size)), sum(absent)
