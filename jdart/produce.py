"""The stages that make files: prior pictures, LoRA, pictures and contact sheets. What is there is not made again."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jdart.config import GenerateConfig
from jdart.data import Picture, average_image, image_seed, read_rgb
from jdart.job import Event, Job
from jdart.lora_file import LoraFile, load_lora, save_lora
from submission.errors import UserError
from submission.files import atomic_write


def make_prior(job: Job) -> Iterator[Event]:
    """Pictures of the plain base model, for prior preservation; shared by all styles that need the same object."""
    config = job.config
    if config.prior.weight == 0:
        return
    wanted: dict[Path, tuple[str, int]] = {}
    for style in job.contest.styles:
        for prompt in _prior_prompts(job, style):
            for number in range(config.prior.images_per_prompt):
                wanted[job.folder.prior(prompt, number)] = (
                    prompt,
                    image_seed("prior", prompt, config.seed + number),
                )
    settings = GenerateConfig(
        sampler=config.generate.sampler,
        steps=config.prior.steps,
        guidance_scale=config.generate.guidance_scale,
        negative_prompt=config.generate.negative_prompt,
        batch_size=config.generate.batch_size,
    )
    yield from _draw_missing(job, "prior", None, wanted, settings, None)


def train_styles(job: Job) -> Iterator[Event]:
    """One LoRA a style. A style whose file is there is done."""
    for style in job.contest.styles:  # a broken picture of the last style is found before hours are spent on the first
        if not job.folder.lora(style).exists():
            for picture in job.references[style]:
                read_rgb(picture.path)
    for style in job.contest.styles:
        steps = job.config.train.steps
        if job.folder.lora(style).exists():
            yield Event("train", style, steps, steps, "there already", skipped=True)
            continue
        for record in _train_style(job, style):
            yield Event("train", style, record.step, steps, f"loss {record.loss:.4f}")
        job.note()


def generate_styles(job: Job) -> Iterator[Event]:
    """Draw every missing picture of every style, then its contact sheet."""
    from jdart.lora import merged

    config = job.config
    for style, prompts in job.contest.styles.items():
        wanted = {}
        for prompt in prompts:
            text = config.data.template.format(object=prompt, id=style)
            wanted[job.folder.image(style, prompt)] = (text, image_seed(style, prompt, config.seed))
        if job.folder.sheet(style).exists() and all(path.exists() for path in wanted):
            yield Event("generate", style, len(wanted), len(wanted), "there already", skipped=True)
            continue
        if not job.folder.lora(style).exists():
            raise UserError(f"style {style} is not trained yet; run: jdart train, or jdart run for the whole way")
        lora = load_lora(job.folder.lora(style))
        average = None
        if config.generate.strength is not None:
            average = average_image([picture.path for picture in job.references[style]], config.data.size)
        with (
            merged(job.base.unet, lora.pairs["unet"]),
            merged(job.base.text_encoder, lora.pairs["text_encoder"]),
        ):
            yield from _draw_missing(job, "generate", style, wanted, config.generate, average)
        _write_sheet(job, style)


def _train_style(job: Job, style: str) -> Iterator[Any]:
    from jdart.examples import encode
    from jdart.train import add_adapters, take_adapters, train

    config, base = job.config, job.base
    frozen = config.text_encoder_lora.rank == 0
    instance = encode(base, job.references[style], config.data, config.seed, frozen)
    prior = None
    if config.prior.weight > 0:
        pictures = [
            Picture(job.folder.prior(prompt, number), prompt, prompt)
            for prompt in _prior_prompts(job, style)
            for number in range(config.prior.images_per_prompt)
        ]
        missing = [picture.path for picture in pictures if not picture.path.exists()]
        if missing:
            raise UserError(f"{len(missing)} prior pictures are not there; run: jdart prior, or jdart run")
        prior = encode(base, pictures, config.data, config.seed, frozen)
    adapters = add_adapters(base, config, style)
    records = []
    try:
        for record in train(base, adapters, instance, prior, config, style):
            records.append(record)
            yield record
    finally:
        pairs = take_adapters(base, adapters)
    _write_losses(job.folder.losses(style), records, style)
    settings = {
        "style": style,
        "base": base.identity,
        "template": config.data.template,
        "rank": config.lora.rank,
        "alpha": config.lora.scale_alpha,
        "seed": config.seed,
        "steps": config.train.steps,
    }
    save_lora(job.folder.lora(style), LoraFile(pairs, settings))


def _write_losses(path: Path, records: Sequence[Any], style: str) -> None:
    from jdart.plots import loss_plot

    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["step", "loss", "learning_rate", "gradient_norm"])
    table.writerows([r.step, f"{r.loss:.8g}", f"{r.learning_rate:.8g}", f"{r.gradient_norm:.8g}"] for r in records)
    with atomic_write(path, "w") as out:
        out.write(text.getvalue())
    loss_plot([(r.step, r.loss) for r in records], path.with_suffix(".png"), f"Training loss, style {style}")


def _draw_missing(
    job: Job,
    stage: str,
    style: str | None,
    wanted: Mapping[Path, tuple[str, int]],
    settings: GenerateConfig,
    average: Any,
) -> Iterator[Event]:
    """Draw the pictures of `wanted` (path -> prompt and seed) that are not there, each written when it is done."""
    from jdart.generate import Request, draw

    done = sum(path.exists() for path in wanted)
    if done:
        yield Event(stage, style, done, len(wanted), "there already", skipped=True)
    everything = [Request(str(path), *text_and_seed) for path, text_and_seed in wanted.items()]
    size = settings.batch_size
    # A batch that lacks one picture is drawn whole: the last digits of a float depend on the batch's size.
    batches = [everything[i : i + size] for i in range(0, len(everything), size)]
    requests = [r for batch in batches if any(not Path(q.name).exists() for q in batch) for r in batch]
    for request, picture in draw(job.base, requests, settings, job.config.data.size, average):
        path = Path(request.name)
        if not path.exists():
            _write_picture(path, picture, request, settings, job)
            done += 1
            yield Event(stage, style, done, len(wanted), path.stem)


def _write_picture(path: Path, picture: Any, request: Any, settings: GenerateConfig, job: Job) -> None:
    """PNG with its parameters in a text chunk."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    parameters = {
        **asdict(settings),
        "prompt": request.prompt,
        "seed": request.seed,
        "base": job.base.identity,
    }
    parameters.pop("batch_size")
    notes = PngInfo()
    notes.add_text("jdart", json.dumps(parameters, sort_keys=True))
    with atomic_write(path, draft=job.folder.root) as out:  # the check refuses what else lies among the pictures
        Image.fromarray(picture).save(out, format="PNG", pnginfo=notes)


def _write_sheet(job: Job, style: str) -> None:
    from jdart.sheets import contact_sheet

    outputs = {prompt: job.folder.image(style, prompt) for prompt in job.contest.styles[style]}
    sheet = contact_sheet([picture.path for picture in job.references[style]], outputs, f"Style {style}")
    with atomic_write(job.folder.sheet(style)) as out:
        sheet.save(out, format="PNG")


def _prior_prompts(job: Job, style: str) -> tuple[str, ...]:
    """The plain prompts of a style's training objects and of what it will draw; each is also its pictures' caption."""
    objects = [picture.object for picture in job.references[style]] + list(job.contest.styles[style])
    template = job.config.data.prior_template
    return tuple(dict.fromkeys(template.format(object=name, id=style) for name in objects))
