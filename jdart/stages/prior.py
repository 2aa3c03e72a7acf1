"""The stage that draws the plain base model's pictures, for prior preservation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from contest.errors import UserError
from jdart.config import GenerateConfig
from jdart.data.captions import Picture, load_pictures
from jdart.data.layout import object_of, picture_folder
from jdart.data.seeds import image_seed
from jdart.runs.folder import whole_contest_of
from jdart.runs.job import Event, Job
from jdart.stages.drawing import draw_missing


def make_prior(job: Job) -> Iterator[Event]:
    """Pictures of the plain base model, for prior preservation; shared by all styles that need the same object."""
    config = job.config
    if not config.prior.used:
        return
    wanted: dict[Path, tuple[str, int]] = {}
    for prompt in prior_prompts(job, *job.contest.styles):
        for number in range(config.prior.images_per_prompt):
            wanted[job.folder.prior(prompt, number)] = (prompt, image_seed("prior", prompt, config.seed + number))
    settings = GenerateConfig(
        sampler=config.generate.sampler,
        steps=config.prior.steps,
        guidance_scale=config.generate.guidance_scale,
        negative_prompt=config.generate.negative_prompt,
        batch_size=config.generate.batch_size,
    )
    yield from draw_missing(job, "prior", None, wanted, settings, None)


def prior_prompts(job: Job, *styles: str) -> tuple[str, ...]:
    """The plain prompts of the training objects of `styles` and of what they will draw.

    A shared pool takes those of every style of the contest, so that it is the same whichever styles a run is for.
    """
    every = _whole_contest(job) if job.config.prior.pool == "shared" else {s: _objects(job, s) for s in styles}
    template = job.config.data.prior_template
    return tuple(dict.fromkeys(template.format(object=name, id=s) for s, objects in every.items() for name in objects))


def prior_pictures(job: Job, *styles: str) -> tuple[Picture, ...]:
    """What `styles` learn from the base; the caption of each is the very prompt that it was drawn from.

    Raises UserError when a picture is not there.
    """
    pictures = [
        Picture(job.folder.prior(prompt, number), prompt, prompt)
        for prompt in prior_prompts(job, *styles)
        for number in range(job.config.prior.images_per_prompt)
    ]
    missing = [picture.path for picture in pictures if not picture.path.exists()]
    if missing:
        raise UserError(f"{len(missing)} prior pictures are not there; run: jdart prior, or jdart run")
    return tuple(pictures)


def _objects(job: Job, style: str) -> list[str]:
    return [picture.object for picture in job.references[style]] + list(job.contest.styles[style])


def _whole_contest(job: Job) -> dict[str, list[str]]:
    """Objects of every style of the contest, those that this run leaves out too."""
    config = job.config
    found = {}
    for style, prompts in whole_contest_of(config).styles.items():
        layout = config.data.layout
        folder, thing = picture_folder(config.references, layout, style), object_of(layout, style)
        pictures = load_pictures(folder, config.data.template, style, thing=thing)
        found[style] = [picture.object for picture in pictures] + list(prompts)
    return found
