"""The stage that draws: pictures, candidates and contact sheets. What is there is not made again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contest.disk.files import atomic_write, sha256
from contest.errors import UserError
from jdart.config import Config, GenerateConfig, StyleIDConfig
from jdart.config.overrides import settings_of
from jdart.data.pictures import average_image, crop, place_of, read_rgb, resize_short_side, stretched
from jdart.data.seeds import image_seed
from jdart.generation.colour.finish import finish_of, finisher, without_finish
from jdart.generation.notes import lora_note, picture_notes, pixels_hash, png_info
from jdart.runs.folder import require_trained_on
from jdart.runs.job import Event, Job
from jdart.runs.trained import goes_on, set_stale_aside, stale_pictures

if TYPE_CHECKING:
    import numpy as np

    from jdart.generation.adapters import Adapter
    from jdart.generation.attention.styleblend import Composition
    from jdart.generation.draw import Request

log = logging.getLogger(__name__)


def generate_styles(job: Job) -> Iterator[Event]:
    """Draw every missing picture of every style, then its contact sheets."""
    for style, prompts in job.contest.styles.items():
        groups = wanted_pictures(job, style)
        paths = [Path(request.name) for _, requests in groups for request in requests]
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
                "style %s: %d pictures were drawn with another LoRA; they are kept in %s, and drawn anew",
                style,
                len(stale),
                set_stale_aside(job.folder, style, stale),
            )
        yield from _tally("generate", style, paths, _draw_style(job, style, groups))
        for path, write in _sheets(job, style).items():
            with atomic_write(path) as out:
                write().save(out, format="PNG")


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


@dataclass(frozen=True, eq=False)
class Scene:
    """What pictures are drawn with: settings, LoRAs; where asked for token, average picture, StyleID's reference.

    `pictures` are the style's by their file names, where the settings look at them.
    """

    settings: GenerateConfig
    size: int
    style: str | None
    adapters: tuple[Adapter, ...] = ()
    token: Path | None = None
    average: np.ndarray | None = None
    reference: np.ndarray | None = None
    pictures: Mapping[str, np.ndarray] = field(default_factory=dict)
    composition: Composition | None = None

    @cached_property
    def finish(self) -> Callable[[np.ndarray], np.ndarray]:
        """What is done to a picture when all else is done. UserError when it cannot be, with the style's pictures."""
        return finisher(finish_of(self.settings), self.pictures.values())

    def notes(self, request: Request, base: str, batch: tuple[int, int]) -> dict[str, Any]:
        """What a picture's PNG says; `batch` is its place and the size of its batch."""
        return picture_notes(
            request,
            self.settings,
            style=self.style,
            size=self.size,
            base=base,
            token=None if self.token is None else sha256(self.token),
            loras=[lora_note(adapter.path, adapter.weight) for adapter in self.adapters],
            average=pixels_hash(self.average),
            reference=pixels_hash(self.reference),
            batch=list(batch),
            **({"pictures": [*map(pixels_hash, self.pictures.values())]} if self.pictures else {}),
            **({} if self.composition is None else {"composition": sha256(self.composition.lora)}),
        )


Group = tuple[GenerateConfig, "list[Request]"]


def wanted_pictures(job: Job, style: str) -> list[Group]:
    """The pictures of a style in groups that are drawn alike, each request named by its path.

    Candidates are groups of their own: the first pictures have the same batches, and bytes, with and without them.
    """
    from jdart.generation.draw import Request

    config = job.config
    groups: dict[tuple[bool, GenerateConfig], list[Request]] = {}
    for number in range(config.generate.num_images_per_prompt):
        for prompt in job.contest.styles[style]:
            settings, seed = settings_of(config.generate, config.seed, config.overrides, style, prompt)
            request = Request(
                str(job.folder.candidate(style, prompt, number)),
                config.data.template.format(object=prompt, id=style),
                image_seed(style, prompt, seed, number),
                config.data.prior_template.format(object=prompt, id=style),
                composition_text(config, settings, style, prompt),
            )
            groups.setdefault((number > 0, settings), []).append(request)
    return [(settings, requests) for (_, settings), requests in groups.items()]


def _draw_style(job: Job, style: str, groups: Sequence[Group]) -> Iterator[Path]:
    """Draw what is missing of `groups`; yields each path when it is there."""
    from jdart.generation.adapters import Adapter, adapted
    from jdart.lora.formats.reading import load_notes
    from jdart.lora.token import token_applied

    learnt = job.folder.lora(style) if job.config.learns(style) else None
    if learnt is not None:
        require_trained_on(job.folder, load_notes(learnt), style)
    token = None if job.config.token is None else job.folder.token(style)
    pictures = [picture.path for picture in job.references[style]]
    size = job.config.data.size
    for settings, requests in groups:
        if all(Path(request.name).exists() for request in requests):
            continue
        own = () if learnt is None else (Adapter(learnt, settings.lora_weight),)
        others = [Adapter(Path(lora.path), lora.weight) for lora in settings.loras]
        average = None if settings.strength is None else average_image(pictures, size)
        plain = settings if settings.styleid is None else without_finish(replace(settings, styleid=None))
        looked_at = style_pictures(plain, pictures, size)
        composition = _composition(job, style, settings, requests, (*own, *others))
        scene = Scene(plain, size, style, (*own, *others), token, average, pictures=looked_at, composition=composition)
        if settings.styleid is None:
            with token_applied(job.base, scene.token), adapted(job.base, scene.adapters):
                yield from _write_missing(job, scene, requests)
            continue
        contents = [replace(r, name=str(job.folder.content(Path(r.name)))) for r in requests]
        with token_applied(job.base, scene.token), adapted(job.base, scene.adapters):
            for _ in _write_missing(job, scene, contents):
                pass
        reference, looked_at = style_picture(settings.styleid, pictures, size), style_pictures(settings, pictures, size)
        scene = replace(scene, settings=settings, reference=reference, pictures=looked_at)
        yield from _inject_missing(job, scene, requests)


def composition_text(config: Config, settings: GenerateConfig, style: str, prompt: str) -> str | None:
    """What the other branch of StyleBlend is told to draw; None where there is none."""
    learnt = config.train.composition
    if settings.style_blend is None or learnt is None:
        return None
    return learnt.caption.format(object=prompt, id=style)


def _composition(
    job: Job, style: str, settings: GenerateConfig, requests: Sequence[Request], adapters: Sequence[Adapter]
) -> Composition | None:
    """A style's composition as it is learnt, for StyleBlend. UserError when it is not."""
    from jdart.generation.attention.styleblend import read_composition

    if settings.style_blend is None:
        return None
    lora = job.folder.composition.lora(style)
    if not lora.exists():
        raise UserError(f"{lora}: the composition of style {style} is not learnt yet; run: jdart train")
    texts = [settings.negative_prompt, *(str(request.composition) for request in requests)]
    return read_composition(job.base, texts, lora, adapters)


def _write_missing(job: Job, scene: Scene, everything: Sequence[Request]) -> Iterator[Path]:
    """Draw the pictures that are not there, each written when it is done."""
    from jdart.generation.draw import draw

    finish = scene.finish  # before anything is drawn
    # A batch that lacks one picture is drawn whole: the last digits of a float depend on the batch's size.
    batches = [batch for batch in _batches(scene, everything) if any(not Path(r.name).exists() for r in batch)]
    requests = [request for batch in batches for request in batch]
    places = [(place, len(batch)) for batch in batches for place in range(len(batch))]
    made = draw(job.base, requests, scene.settings, scene.size, scene.average, scene.pictures, scene.composition)
    with closing(made):  # at once when something fails in between: the base is left as it was
        for (request, picture), place in zip(made, places):
            path = Path(request.name)
            if not path.exists():
                _write_picture(path, finish(picture), scene.notes(request, job.base.identity, place), job)
                yield path


def _inject_missing(job: Job, scene: Scene, requests: Sequence[Request]) -> Iterator[Path]:
    """StyleID over the contents of the pictures that are not there."""
    from jdart.generation.attention.styleid import inject, read_style

    styleid, reference = scene.settings.styleid, scene.reference
    assert styleid is not None and reference is not None
    style = read_style(job.base, reference, styleid)
    for batch in _batches(scene, requests):
        for place, request in enumerate(batch):
            path = Path(request.name)
            if not path.exists():
                picture = scene.finish(inject(job.base, read_rgb(job.folder.content(path)), style, styleid))
                notes = scene.notes(request, job.base.identity, (place, len(batch)))
                _write_picture(path, picture, notes, job)
                yield path


def _batches(scene: Scene, requests: Sequence[Request]) -> list[Sequence[Request]]:
    size = scene.settings.batch_size
    return [requests[first : first + size] for first in range(0, len(requests), size)]


def style_picture(styleid: StyleIDConfig, pictures: Sequence[Path], size: int) -> np.ndarray:
    """StyleID's reference (size, size, 3) uint8, out of a style's pictures. UserError when it is none of them."""
    names, where = [path.name for path in pictures], str(pictures[0].parent)
    place = place_of(styleid.reference, names, "generate.styleid.reference", where)
    if place is None:
        return average_image(pictures, size)
    return crop(resize_short_side(read_rgb(pictures[place]), size), size)


def style_pictures(settings: GenerateConfig, paths: Sequence[Path], size: int) -> dict[str, np.ndarray]:
    """A style's pictures, file name -> stretched to (size, size, 3) uint8, where the settings look at them."""
    return {path.name: stretched(path, size) for path in paths} if settings.looks_at_references else {}


def _tally(stage: str, style: str | None, paths: Sequence[Path], made: Iterator[Path]) -> Iterator[Event]:
    """Count the pictures that are there, then each of `made`."""
    done = sum(path.exists() for path in paths)
    if done:
        yield Event(stage, style, done, len(paths), "there already", skipped=True)
    for path in made:
        done += 1
        yield Event(stage, style, done, len(paths), path.stem)


def _write_picture(path: Path, picture: np.ndarray, notes: Mapping[str, Any], job: Job) -> None:
    """PNG with its parameters in text chunks."""
    with atomic_write(path, draft=job.folder.root) as out:  # the check refuses what else lies among the pictures
        save_png(out, picture, notes)


def save_png(out: Any, picture: np.ndarray, notes: Mapping[str, Any]) -> None:
    """The bytes of a picture with its notes: the same for the same."""
    from PIL import Image

    Image.fromarray(picture).save(out, format="PNG", pnginfo=png_info(notes))


def _sheets(job: Job, style: str) -> dict[Path, Any]:
    """Contact sheets of a style: path -> what makes it."""
    from jdart.generation.sheets import contact_sheet

    prompts, count = job.contest.styles[style], job.config.generate.num_images_per_prompt
    references = [picture.path for picture in job.references[style]]
    first = {prompt: job.folder.image(style, prompt) for prompt in prompts}
    sheets = {job.folder.sheet(style): lambda: contact_sheet(references, first, f"Style {style}")}
    if count > 1:
        every = {f"{p} {n}": job.folder.candidate(style, p, n) for p in prompts for n in range(count)}
        title = f"Style {style}: {count} candidates a prompt"
        sheets[job.folder.candidates_sheet(style)] = lambda: contact_sheet(references, every, title, count)
    return sheets
