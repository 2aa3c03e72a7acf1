"""What a run's steps cost on this machine: its own stages on a miniature run in a temporary folder, and a stopwatch."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from math import ceil
from pathlib import Path
from statistics import median

import numpy as np

from jdart.config import GenerateConfig, ValidationConfig
from jdart.planning.methods import calls_of_methods, in_every_step, own_ways, smallest, way_of, without_methods
from jdart.planning.plan import Costs
from jdart.planning.work import encodings
from jdart.runs.folder import RunFolder
from jdart.runs.job import Job
from jdart.stages.composition import learn_compositions
from jdart.stages.drawing import generate_styles
from jdart.stages.prior import prior_prompts
from jdart.stages.training import train_styles
from jdart.training.timesteps import Timesteps

STEPS = 6  # of training
CALLS = (1, 4)  # of the sampler; the difference of two batches is free of what a batch costs beside its calls
QUICK, GOES = 3.0, 3  # seconds; what takes less is measured so many times, and the fastest counts


def measure(job: Job, begun: float) -> Costs:
    """Train and draw a little with the job's settings, after all kernels are there. `begun`: the time.time() of old."""
    base = job.base
    for part in (base.unet, base.vae, base.text_encoder, base.tokenizer):
        assert part is not None  # read here, so that the start is measured with it
    start = time.time() - begun
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = _miniature(job, folder / "warm", CALLS[0])
        _training(run)
        composition_step = _composing(run)
        _drawing(run)
        moments = _fastest(_miniature(job, folder / "train", CALLS[0]), _training)
        steps = np.diff(moments)[1:-1]  # without the first, which has the encoding in it
        step = float(median(steps[:-1]))
        dear = _style_loss_seconds(job, folder, step)
        # beside the least disturbed step: the median of a busy machine's can exceed a step with a validation after it
        look = 0.0 if job.config.validation.steps is None else max(0.0, float(steps[-1] - steps[:-1].min()))
        encoding = _encoding(job)
        beside = moments[-1] - moments[0] - STEPS * step - look - encodings(run, 1) * encoding
        batch, call = _batch_and_call(job, folder / "draw", run.folder.root)
        generate = job.config.generate
        plain = _drawn_as(job, without_methods(generate))
        plain_call = (
            call if plain.config == job.config else _batch_and_call(plain, folder / "plain", run.folder.root)[1]
        )
        share = calls_of_methods(generate) / generate.calls
        ways = own_ways(job.config, job.contest.styles)
        known = {way_of(generate, generate): (batch, call)}
        for number, way in enumerate(way for way in ways if way not in known):
            own = _drawn_as(job, way)
            _drawing(_miniature(own, folder / f"warm {number}", CALLS[0]), run.folder.root)
            known[way] = _batch_and_call(own, folder / f"way {number}", run.folder.root)
        style = next(iter(run.contest.styles))
        composed = run.folder.composition.lora(style)
        drawn = list(run.folder.images.rglob("*.png"))
        return Costs(
            start=start,
            style=max(0.0, beside),
            step=step + dear,
            look=look,
            encoding=encoding,
            batch=batch,
            call=plain_call + share * (call - plain_call),
            memory=_peak_memory(),
            device_memory=_device_memory(),
            lora=sum(path.stat().st_size for path in _learnt(run, style)),
            picture=sum(path.stat().st_size for path in drawn) // len(drawn),
            sheet=run.folder.sheet(style).stat().st_size,
            plain_call=plain_call,
            composition_step=composition_step,
            composition_lora=composed.stat().st_size if composed.exists() else 0,
            ways=tuple(known[way] for way in ways),
        )


def _learnt(job: Job, style: str) -> list[Path]:
    """The files that a style learnt: its LoRA and, where one is asked for, its IP-Adapter."""
    return [path for path in (job.folder.lora(style), job.folder.ip_adapter(style)) if path.exists()]


def _drawn_as(job: Job, settings: GenerateConfig) -> Job:
    return replace(job, config=replace(job.config, generate=settings))


def _batch_and_call(job: Job, folder: Path, trained: Path) -> tuple[float, float]:
    """Seconds of a batch beside its calls, and of a call, with what is learnt in the run folder `trained`."""
    runs = [_miniature(job, folder / str(calls), calls) for calls in CALLS]
    few, more = (np.ptp(_fastest(each, lambda one: _drawing(one, trained))) for each in runs)
    first, last = (each.config.generate.calls for each in runs)
    call = max(0.0, more - few) / (last - first)
    return max(0.0, few - first * call), call


def _composing(job: Job) -> float:
    """Learn a composition where one is asked for; seconds of one update of its weights."""
    moments = [time.perf_counter() for event in learn_compositions(job) if event.text.startswith("loss")]
    return float(median(np.diff(moments))) if moments else 0.0


def _training(job: Job) -> list[float]:
    """Moments: the start, each step, the end."""
    _fake_prior(job)
    return [time.perf_counter(), *(time.perf_counter() for _ in train_styles(job)), time.perf_counter()]


def _style_loss_seconds(job: Job, folder: Path, without: float) -> float:
    """What the style loss adds to a step at a mean: it counts for the noise levels below its own limit only."""
    settings = job.config.train
    if settings.style_loss_weight == 0:
        return 0.0
    timesteps = Timesteps(settings, job.base.schedule)
    limit = min(settings.style_loss_max_timestep, timesteps.end)
    every = replace(job, config=replace(job.config, train=replace(settings, max_timestep=limit)))
    _training(_miniature(every, folder / "warm style loss", CALLS[0], style_loss=True))
    moments = _fastest(_miniature(every, folder / "style loss", CALLS[0], style_loss=True), _training)
    return timesteps.share_below(limit) * max(0.0, float(median(np.diff(moments)[1:-1])) - without)


def _drawing(job: Job, trained: Path | None = None) -> list[float]:
    """Moments: before and after the pictures that are missing are drawn, with the job's LoRAs or those of another."""
    if trained is not None:
        for place in ("lora", "composition/lora"):
            if (trained / place).exists():
                shutil.copytree(trained / place, job.folder.root / place)
    begun = time.perf_counter()
    for _ in generate_styles(job):
        pass
    return [begun, time.perf_counter()]


def _fastest(job: Job, work: Callable[[Job], list[float]]) -> list[float]:
    """Moments of the work, done anew in folders of their own while that is quick; others' work can only add to it."""
    goes: list[list[float]] = []
    while len(goes) < GOES and sum(map(np.ptp, goes)) < QUICK:
        goes.append(work(replace(job, folder=replace(job.folder, root=job.folder.root / str(len(goes))))))
    return min(goes, key=np.ptp)


def _miniature(job: Job, folder: Path, calls: int, style_loss: bool = False) -> Job:
    """The job with one style, one reference and one batch of pictures; adapters as large as those of the job.

    A job with validations has the loss of one after the last step.
    """
    style, prompts = next(iter(job.contest.styles.items()))
    settings, count = job.config, len(job.contest.styles) if job.config.train.packed else 1
    strength, looks = settings.generate.strength, settings.validation.steps is not None
    validation = replace(ValidationConfig(), images=0, loss_batches=settings.validation.loss_batches)
    config = replace(
        settings,
        output=str(folder),
        lora=settings.lora.times(count),
        text_encoder_lora=settings.text_encoder_lora.times(count),
        train=replace(
            settings.train,
            steps=STEPS,
            packed=False,
            style_loss_weight=settings.train.style_loss_weight if style_loss else 0.0,
            composition=smallest(settings.train.composition, STEPS),
        ),
        validation=replace(validation, steps=STEPS if looks else None),
        prior=replace(settings.prior, images_per_prompt=1, pool="style"),
        generate=replace(
            in_every_step(settings.generate),
            steps=ceil(calls / (1.0 if strength is None else strength)),
            lora_weight=1.0,
            num_images_per_prompt=1,
        ),
        overrides={},
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
