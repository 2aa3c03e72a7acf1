"""The stage that learns a style's composition for StyleBlend: pictures by SDEdit, CLIP's choice of them, a text LoRA.

It lies in a run folder of its own, `composition/`, inside the run's.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from contest.disk.files import read_json, write_json
from contest.errors import needs
from jdart.config import GenerateConfig, TextLoraConfig, TrainConfig, ValidationConfig
from jdart.config.sections.blend import CompositionConfig
from jdart.config.sections.data import PriorConfig
from jdart.data.captions import Picture
from jdart.data.pictures import crop, read_rgb, resize_short_side
from jdart.data.seeds import image_seed
from jdart.runs.job import Event, Job
from jdart.runs.trained import is_trained
from jdart.stages.drawing import draw_missing
from jdart.stages.training import train_styles

log = logging.getLogger(__name__)


def learn_styles(job: Job) -> Iterator[Event]:
    """All that a run learns: its LoRAs, then the compositions."""
    yield from train_styles(job)
    yield from learn_compositions(job)


def learn_compositions(job: Job) -> Iterator[Event]:
    """One LoRA of the text encoder a style, where `train.composition` asks for it. What has its file is done."""
    settings = job.config.train.composition
    if settings is None:
        return
    for style in job.contest.styles:
        if not job.config.learns(style):
            continue
        inner = _inner(job, style, settings)
        left = not is_trained(inner.folder, inner.config, style)
        if left:
            yield from _pictures(job, style, settings)
            inner = replace(inner, references={style: _kept(job, style, settings)})
        for event in train_styles(inner):
            yield replace(event, style=f"{style} composition")
        if left:
            job.note()


def _inner(job: Job, style: str, settings: CompositionConfig) -> Job:
    """The training of one style's composition as a job of its own. Its references are not chosen yet."""
    text = TextLoraConfig(r=settings.r)
    steps = TrainConfig(
        steps=settings.steps,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        checkpointing_steps=job.config.train.checkpointing_steps,
    )
    config = replace(
        job.config,
        data=replace(job.config.data, captions="file_name", flip=False, crops=1, rotation=0.0),
        lora=TextLoraConfig(),
        text_encoder_lora=text,
        token=None,
        train=steps,
        prior=PriorConfig(),
        validation=ValidationConfig(),
        generate=GenerateConfig(),
        overrides={},
    )
    contest = job.contest.subset((style,))
    return Job(config, job.folder.composition, contest, {style: ()}, job.base, job.revision, notes=False)


def _pictures(job: Job, style: str, settings: CompositionConfig) -> Iterator[Event]:
    """What SDEdit makes of each reference: the plain base, drawing from its noisy copy."""
    generate = job.config.generate
    drawn = GenerateConfig(
        sampler="ddim",
        steps=settings.sampling_steps,
        guidance_scale=generate.guidance_scale,
        negative_prompt=settings.negative_prompt,
        batch_size=generate.batch_size,
    )
    total, done, size = settings.pictures * len(job.references[style]), 0, job.config.data.size
    for picture, strength, wanted in pictures_to_draw(job, style, settings):
        square, before = crop(resize_short_side(read_rgb(picture.path), size), size), done
        for event in draw_missing(job, "train", style, wanted, replace(drawn, strength=strength), square):
            done = before + event.done
            yield replace(event, style=f"{style} composition pictures", done=done, total=total)


def pictures_to_draw(
    job: Job, style: str, settings: CompositionConfig
) -> Iterator[tuple[Picture, float, dict[Path, tuple[str, int]]]]:
    """Each reference, a strength of SDEdit, and what is drawn so from it: path -> prompt and seed."""
    for picture in job.references[style]:
        prompt = settings.prompt.format(object=picture.object, id=style)
        strengths: dict[float, dict[Path, tuple[str, int]]] = {}
        for number in range(settings.pictures):
            seed = image_seed(f"composition {style}", prompt, job.config.seed, number)
            strengths.setdefault(settings.strength(number), {})[_path(job, style, picture, number)] = (prompt, seed)
        yield from ((picture, strength, wanted) for strength, wanted in strengths.items())


def _kept(job: Job, style: str, settings: CompositionConfig) -> tuple[Picture, ...]:
    """The pictures to learn from, each with the caption of the composition. The choice is written beside them."""
    chosen_file = job.folder.composition.root / "pictures" / style / "kept.json"
    known = read_json(chosen_file) if chosen_file.exists() else {}
    kept = []
    for picture in job.references[style]:
        paths = [_path(job, style, picture, number) for number in range(settings.pictures)]
        name = paths[0].parent.name
        if name not in known:
            known[name] = _likeness(job, picture, paths, settings)
        best = sorted(range(len(paths)), key=lambda number: (-known[name][number], number))[: settings.keep]
        caption = settings.caption.format(object=picture.object, id=style)
        kept += [Picture(paths[number], picture.object, caption) for number in sorted(best)]
    write_json(chosen_file, known)
    return tuple(kept)


def _likeness(job: Job, picture: Picture, paths: list[Path], settings: CompositionConfig) -> list[float]:
    """How alike CLIP finds each picture and its reference; all the same where all are kept."""
    if settings.keep == settings.pictures:
        return [1.0] * len(paths)
    with needs("eval"):
        from evaluator.extractors.likeness import likeness
    weights = job.config.score.weights
    assert weights is not None  # require_startable
    others = [read_rgb(path) for path in paths]
    return [round(float(x), 6) for x in likeness(Path(weights), read_rgb(picture.path), others)]


def _path(job: Job, style: str, picture: Picture, number: int) -> Path:
    """Where picture `number` of a reference lies: below its stem, or its whole name where that tells it from others."""
    path = picture.path
    others = [other.path for other in job.references[style] if other.path != path]
    apart = any(path.stem in (other.stem, other.name) for other in others)
    return job.folder.composition.root / "pictures" / style / (path.name if apart else path.stem) / f"{number}.png"
