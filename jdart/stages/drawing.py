"""The stage that draws: pictures, candidates and contact sheets. What is there is not made again."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contest.disk.files import atomic_write
from contest.errors import UserError
from jdart.config import Config, GenerateConfig
from jdart.config.overrides import settings_of
from jdart.data.pictures import read_rgb
from jdart.data.seeds import image_seed
from jdart.engines.drawing import draw_elsewhere
from jdart.generation.notes import png_info
from jdart.runs.job import Event, Job
from jdart.runs.trained import goes_on, set_stale_aside, stale_pictures
from jdart.stages.scene import Scene, composition_text, scene_of, style_picture, style_pictures
from jdart.stages.story import tell_story

if TYPE_CHECKING:
    import numpy as np

    from jdart.generation.draw import Request

log = logging.getLogger(__name__)


def generate_styles(job: Job) -> Iterator[Event]:
    """Draw every missing picture of every style, then its contact sheets; of a story, the table and the sheet too."""
    yield from _generate_styles(job)
    tell_story(job)


def _generate_styles(job: Job) -> Iterator[Event]:
    for style, prompts in job.contest.styles.items():
        groups = wanted_pictures(job, style)
        paths = [Path(request.name) for _, requests in groups for request in requests]
        if job.folder.choices.exists() and all(path.exists() for path in paths):
            yield Event("generate", style, len(paths), len(paths), "chosen by jdart search", skipped=True)
            continue
        made = job.folder.drawn(style, prompts, job.config.generate.num_images_per_prompt)
        longer = job.config.learns(style) and goes_on(job.folder, job.config, style)
        stale = stale_pictures(job.folder, job.config, style, prompts)
        if not longer and not stale and all(path.exists() for path in made):
            yield Event("generate", style, len(paths), len(paths), "there already", skipped=True)
            continue
        if longer or (job.config.learns(style) and not job.folder.lora(style).exists()):
            raise UserError(f"style {style} is not trained yet; run: jdart train, or jdart run for the whole way")
        if stale:
            log.warning(
                "style %s: %d pictures were drawn with another LoRA or adapter%s; they are kept in %s, and drawn anew",
                style,
                len(stale),
                " or for another story" if job.folder.story else "",
                set_stale_aside(job.folder, style, stale),
            )
        yield from _tally("generate", style, paths, draw_groups(job, style, groups))
        write_sheets(job, style)


def draw_missing(
    job: Job,
    stage: str,
    style: str | None,
    wanted: Mapping[Path, tuple[str, int]],
    settings: GenerateConfig,
    average: np.ndarray | None,
) -> Iterator[Event]:
    """Draw the pictures of `wanted` (path -> prompt and seed) that are not there, with the networks as they are."""
    from jdart.generation.draw import Request

    requests = [Request(str(path), *prompt_and_seed) for path, prompt_and_seed in wanted.items()]
    scene = Scene(settings, job.config.data.size, style, average=average)
    yield from _tally(stage, style, list(wanted), _write_missing(job, scene, requests))


Group = tuple[GenerateConfig, "list[Request]"]


def wanted_pictures(job: Job, style: str) -> list[Group]:
    """The pictures of a style in groups that are drawn alike, each request named by its path.

    Candidates are groups of their own: the first pictures have the same batches, and bytes, with and without them.
    """
    config = job.config
    groups: dict[tuple[bool, GenerateConfig], list[Request]] = {}
    for number in range(config.generate.num_images_per_prompt):
        for prompt in job.contest.styles[style]:
            settings, seed = settings_of(config.generate, config.seed, config.overrides, style, prompt)
            path = job.folder.candidate(style, prompt, number)
            request = request_of(config, settings, style, prompt, image_seed(style, prompt, seed, number), path)
            groups.setdefault((number > 0, settings), []).append(request)
    return [(settings, requests) for (_, settings), requests in groups.items()]


def request_of(config: Config, settings: GenerateConfig, style: str, prompt: str, seed: int, path: Path) -> Request:
    """What is asked of the network for a picture that is to lie at `path`."""
    from jdart.generation.draw import Request

    return Request(
        str(path),
        config.data.template.format(object=prompt, id=style),
        seed,
        config.data.prior_template.format(object=prompt, id=style),
        composition_text(config, settings, style, prompt),
    )


def draw_groups(job: Job, style: str, groups: Sequence[Group], interval: int = 1) -> Iterator[Path]:
    """Draw what is missing of `groups`; yields each path when it is there. With an `interval` they are drafts."""
    pictures, size = [picture.path for picture in job.references[style]], job.config.data.size
    for settings, requests in groups:
        if all(Path(request.name).exists() for request in requests):
            continue
        scene = replace(scene_of(job, style, settings, requests), interval=interval)
        if settings.styleid is None:
            with scene.networks(job.base):
                yield from _write_missing(job, scene, requests)
            continue
        contents = [replace(r, name=str(job.folder.content(Path(r.name)))) for r in requests]
        with scene.networks(job.base):
            for _ in _write_missing(job, scene, contents):
                pass
        reference, looked_at = style_picture(settings.styleid, pictures, size), style_pictures(settings, pictures, size)
        scene = replace(scene, settings=settings, reference=reference, pictures=looked_at)
        yield from _inject_missing(job, scene, requests)


def _write_missing(job: Job, scene: Scene, everything: Sequence[Request]) -> Iterator[Path]:
    """Draw the pictures that are not there, each written when it is done."""
    from jdart.generation.draw import batches_of, draw

    finish = scene.finish  # before anything is drawn
    # A batch that lacks one picture is drawn whole: the last digits of a float depend on the batch's size.
    every = batches_of(everything, scene.settings.batch_size)
    batches = [batch for batch in every if any(not Path(r.name).exists() for r in batch)]
    requests = [request for batch in batches for request in batch]
    places = [(place, len(batch)) for batch in batches for place in range(len(batch))]
    if scene.engine is None:
        shown = scene.average, scene.pictures, scene.composition, scene.images
        made = draw(job.base, requests, scene.settings, scene.size, *shown, scene.interval)
    else:
        log_file = job.folder.log(f"{scene.style}-{scene.engine.name}")
        made = draw_elsewhere(scene.engine, job.base, batches, scene.settings, scene.size, scene.adapters, log_file)
    with closing(made):  # at once when something fails in between: the base is left as it was
        for (request, picture), place in zip(made, places):
            path = Path(request.name)
            if not path.exists():
                write_picture(path, finish(picture), scene.notes(request, job.base, place), job)
                yield path


def _inject_missing(job: Job, scene: Scene, requests: Sequence[Request]) -> Iterator[Path]:
    """StyleID over the contents of the pictures that are not there."""
    from jdart.generation.attention.styleid import inject, read_style
    from jdart.generation.draw import batches_of

    styleid, reference = scene.settings.styleid, scene.reference
    assert styleid is not None and reference is not None
    style = read_style(job.base, reference, styleid)
    for batch in batches_of(requests, scene.settings.batch_size):
        for place, request in enumerate(batch):
            path = Path(request.name)
            if not path.exists():
                picture = scene.finish(inject(job.base, read_rgb(job.folder.content(path)), style, styleid))
                notes = scene.notes(request, job.base, (place, len(batch)))
                write_picture(path, picture, notes, job)
                yield path


def _tally(stage: str, style: str | None, paths: Sequence[Path], made: Iterator[Path]) -> Iterator[Event]:
    """Count the pictures that are there, then each of `made`."""
    done = sum(path.exists() for path in paths)
    if done:
        yield Event(stage, style, done, len(paths), "there already", skipped=True)
    for path in made:
        done += 1
        yield Event(stage, style, done, len(paths), path.stem)


def write_picture(path: Path, picture: np.ndarray, notes: Mapping[str, Any], job: Job) -> None:
    """PNG with its parameters in text chunks."""
    with atomic_write(path, draft=job.folder.root) as out:  # the check refuses what else lies among the pictures
        save_png(out, picture, notes)


def save_png(out: Any, picture: np.ndarray, notes: Mapping[str, Any]) -> None:
    """The bytes of a picture with its notes: the same for the same."""
    from PIL import Image

    Image.fromarray(picture).save(out, format="PNG", pnginfo=png_info(notes))


def write_sheets(job: Job, style: str) -> None:
    """The contact sheets of a style: its pictures, and its candidates where there are some."""
    from jdart.generation.sheets import contact_sheet

    prompts, count = job.contest.styles[style], job.config.generate.num_images_per_prompt
    references = [picture.path for picture in job.references[style]]
    first = {prompt: job.folder.image(style, prompt) for prompt in prompts}
    sheets = {job.folder.sheet(style): contact_sheet(references, first, f"Style {style}")}
    if count > 1:
        every = {f"{p} {n}": job.folder.candidate(style, p, n) for p in prompts for n in range(count)}
        title = f"Style {style}: {count} candidates a prompt"
        sheets[job.folder.candidates_sheet(style)] = contact_sheet(references, every, title, count)
    for path, sheet in sheets.items():
        with atomic_write(path) as out:
            sheet.save(out, format="PNG")
