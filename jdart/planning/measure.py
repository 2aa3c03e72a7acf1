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

from jdart.config import Config, GenerateConfig, ValidationConfig
from jdart.planning.plan import Costs, Work
from jdart.runs.folder import RunFolder
from jdart.runs.job import Job
from jdart.runs.trained import goes_on, is_trained
from jdart.stages.drawing import generate_styles, wanted_pictures
from jdart.stages.learning import lessons
from jdart.stages.prior import prior_prompts
from jdart.stages.training import train_styles
from jdart.training.checkpoint import steps_of
from jdart.training.timesteps import Timesteps

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
        run = _miniature(job, folder / "warm", CALLS[0])
        _training(run)
        _drawing(run)
        moments = _fastest(_miniature(job, folder / "train", CALLS[0]), _training)
        steps = np.diff(moments)[1:-1]  # without the first, which has the encoding in it
        step = float(median(steps[:-1]))
        dear = _style_loss_seconds(job, folder, step)
        look = 0.0 if job.config.validation.steps is None else max(0.0, float(steps[-1]) - step)
        encoding = _encoding(job)
        beside = moments[-1] - moments[0] - STEPS * step - look - _encodings(run, 1) * encoding
        loras = run.folder.root / "lora"
        runs = [_miniature(job, folder / f"draw {calls}", calls) for calls in CALLS]
        few, more = (np.ptp(_fastest(each, lambda one: _drawing(one, loras))) for each in runs)
        first, last = (_calls(each.config.generate) for each in runs)
        call = max(0.0, more - few) / (last - first)
        style = next(iter(run.contest.styles))
        drawn = list(run.folder.images.rglob("*.png"))
        return Costs(
            start=start,
            style=max(0.0, beside),
            step=step + dear,
            look=look,
            encoding=encoding,
            batch=max(0.0, few - first * call),
            call=call,
            memory=_peak_memory(),
            device_memory=_device_memory(),
            lora=run.folder.lora(style).stat().st_size,
            picture=sum(path.stat().st_size for path in drawn) // len(drawn),
            sheet=run.folder.sheet(style).stat().st_size,
        )


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


def _drawing(job: Job, loras: Path | None = None) -> list[float]:
    """Moments: before and after the pictures that are missing are drawn, with the job's LoRAs or those of another."""
    if loras is not None:
        shutil.copytree(loras, job.folder.root / "lora")
    begun = time.perf_counter()
    for _ in generate_styles(job):
        pass
    return [begun, time.perf_counter()]


def _fastest(job: Job, work: Callable[[Job], list[float]]) -> list[float]:
    """Moments of the work, done anew in folders of their own while that is quick; others' work can only add to it."""
    goes: list[list[float]] = []
    while len(goes) < 3 and sum(map(np.ptp, goes)) < QUICK:
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
        ),
        validation=replace(validation, steps=STEPS if looks else None),
        prior=replace(settings.prior, images_per_prompt=1, pool="style"),
        generate=replace(
            settings.generate,
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


def _calls(settings: GenerateConfig) -> int:
    """Sampler steps of a batch."""
    return settings.steps if settings.strength is None else int(settings.steps * settings.strength)


def _encodings(job: Job, images_per_prompt: int) -> int:
    """Pictures that go through the VAE before a LoRA of all of the job's styles is trained."""
    config, styles = job.config, job.contest.styles
    plain = len(prior_prompts(job, *styles)) if config.prior.used else 0
    pictures = sum(len(job.references[style]) for style in styles) + plain * images_per_prompt
    return pictures * config.data.crops * (2 if config.data.flip else 1)


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
    """What is left to do: what the styles share, then each style's training and pictures."""
    config, folder, many = job.config, job.folder, job.config.prior.images_per_prompt
    wanted: dict[Path, None] = {}  # two styles may want the same one
    trainings: dict[str, Work] = {}
    for name, styles in lessons(job).items():
        own = replace(job, contest=replace(job.contest, styles={style: job.contest.styles[style] for style in styles}))
        if config.prior.used:
            wanted.update({folder.prior(p, n): None for p in prior_prompts(own, *styles) for n in range(many)})
        if not is_trained(folder, config, name):
            looks, strips = _looks(config, len(styles))
            trainings[name] = Work(
                None,
                steps=max(0, config.train.steps - steps_of(folder.checkpoint(name))),
                encodings=_encodings(own, many),
                looks=looks,
                look_batches=strips,
                look_calls=strips * _calls(config.generate),
            )
    batches, missing = _missing(list(wanted), config.generate.batch_size)
    works = [Work(None, batches=batches, calls=batches * config.prior.steps, pictures=missing)]
    if config.train.packed:
        works += trainings.values()
    for style, prompts in job.contest.styles.items():
        work = replace(trainings.get(style, Work(None)), style=style)
        entry = {folder.candidate(style, prompt, 0) for prompt in prompts}
        for settings, requests in wanted_pictures(job, style):
            paths = [Path(request.name) for request in requests]
            batches, missing = _missing(
                paths, settings.batch_size, config.learns(style) and goes_on(folder, config, style)
            )
            work = replace(
                work,
                batches=work.batches + batches,
                calls=work.calls + batches * _calls(settings),
                pictures=work.pictures + missing,
                candidates=work.candidates + sum(not path.exists() for path in paths if path not in entry),
            )
        works.append(work)
    return works


def _looks(config: Config, styles: int) -> tuple[int, int]:
    """Validations of a training that is not stopped early, and the batches that each draws."""
    settings, size = config.validation, config.generate.batch_size
    if settings.steps is None:
        return 0, 0
    drawn = [len(range(place, settings.images, styles)) for place in range(styles)]
    return config.train.steps // settings.steps, sum(ceil(count / size) for count in drawn)


def _missing(paths: list[Path], size: int, anew: bool = False) -> tuple[int, int]:
    """Batches to draw, which are drawn whole, and pictures that are not there, or are drawn `anew`."""
    absent = [anew or not path.exists() for path in paths]
    return sum(any(absent[i : i + size]) for i in range(0, len(absent), size)), sum(absent)
