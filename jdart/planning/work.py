"""What of a run is left to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any

from jdart.config import Config, GenerateConfig
from jdart.config.vary import changes_of
from jdart.planning.methods import calls_of_methods, dear_calls, has_own_methods, own_ways, way_of
from jdart.planning.plan import Work
from jdart.runs.job import Job
from jdart.runs.trained import goes_on, is_trained
from jdart.searching.folder import SearchFolder
from jdart.searching.rounds import candidate_groups, rounds_of, tried
from jdart.stages.composition import pictures_to_draw
from jdart.stages.drawing import wanted_pictures
from jdart.stages.learning import lessons
from jdart.stages.prior import prior_prompts
from jdart.training.checkpoint import steps_of


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
                encodings=encodings(own, many),
                looks=looks,
                look_batches=strips,
                look_calls=strips * dear_calls(config.generate),
            )
    batches, missing = _missing(list(wanted), config.generate.batch_size)
    works = [Work(None, batches=batches, plain_calls=batches * config.prior.steps, pictures=missing)]
    if config.train.packed:
        works += trainings.values()
    ways = own_ways(config, job.contest.styles)
    for style, prompts in job.contest.styles.items():
        work = replace(trainings.get(style, Work(None)), style=style, **_composition(job, style))
        entry = {folder.candidate(style, prompt, 0) for prompt in prompts}
        for settings, requests in wanted_pictures(job, style):
            paths = [Path(request.name) for request in requests]
            batches, missing = _missing(
                paths, settings.batch_size, config.learns(style) and goes_on(folder, config, style)
            )
            work = replace(
                _with_batches(work, config.generate, settings, ways, batches),
                pictures=work.pictures + missing,
                candidates=work.candidates + sum(not path.exists() for path in paths if path not in entry),
            )
        works.append(work)
    return works


def search_of(job: Job) -> list[Work]:
    """What `jdart search` has left to draw instead of the pictures, were every candidate drawn to the end.

    Which styles the budget goes to is not known before; here it is the same number of candidates for each.
    """
    config, works = job.config, []
    if config.search is None:
        return []
    ways, most = own_ways(config, job.contest.styles), config.search.candidates
    before = {style: tried(rounds_of(SearchFolder(job.folder), style)) for style in job.contest.styles}
    left = sum(len(prompts) * (most - before[style]) for style, prompts in job.contest.styles.items())
    for style, prompts in job.contest.styles.items():
        count = max(0, min(most - before[style], left // len(prompts)))
        left -= count * len(prompts)
        numbers = range(before[style], before[style] + count)
        changes = {number: changes_of(config, number) for number in numbers}
        work = Work(style)
        kept = dict.fromkeys(prompts, numbers)
        for settings, requests in candidate_groups(job, style, kept, changes, job.folder.candidate):
            batches = ceil(len(requests) / settings.batch_size)
            work = _with_batches(work, config.generate, settings, ways, batches)
            work = replace(work, pictures=work.pictures + len(requests))
        works.append(work)
    return [work for work in works if work.pictures]


def _with_batches(
    work: Work, run: GenerateConfig, settings: GenerateConfig, ways: Sequence[GenerateConfig], batches: int
) -> Work:
    """The work with so many more batches to draw with `settings`, one of `ways` where that was measured."""
    if not has_own_methods(run, settings) or way_of(run, settings) not in ways:
        return replace(work, batches=work.batches + batches, calls=work.calls + batches * dear_calls(settings))
    calls = batches * dear_calls(settings) * calls_of_methods(settings) / settings.calls
    plain_calls = work.plain_calls + batches * dear_calls(settings) - calls
    return replace(
        work, plain_calls=plain_calls, ways=(*work.ways, (ways.index(way_of(run, settings)), batches, calls))
    )


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


def _composition(job: Job, style: str) -> Mapping[str, Any]:
    """What of a style's composition is left to do, as `Work` names it."""
    settings, folder = job.config.train.composition, job.folder.composition
    if settings is None or not job.config.learns(style) or folder.lora(style).exists():
        return {}
    found = {"steps": settings.steps - steps_of(folder.checkpoint(style)), "pictures": 0, "batches": 0, "calls": 0}
    for _, strength, wanted in pictures_to_draw(job, style, settings):
        batches, missing = _missing(list(wanted), job.config.generate.batch_size)
        found["pictures"] += missing
        found["batches"] += batches
        found["calls"] += batches * int(settings.sampling_steps * strength)
    return {f"composition_{name}": count for name, count in found.items()}


def encodings(job: Job, images_per_prompt: int) -> int:
    """Pictures that go through the VAE before a LoRA of all of the job's styles is trained."""
    config, styles = job.config, job.contest.styles
    plain = len(prior_prompts(job, *styles)) if config.prior.used else 0
    pictures = sum(len(job.references[style]) for style in styles) + plain * images_per_prompt
    return pictures * config.data.crops * (2 if config.data.flip else 1)
