"""A run with everything it names looked up, and the events by which it tells how far it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from contest.definition import Contest
from contest.disk.shipped import means_toy, references_folder
from contest.errors import UserError
from jdart.config import Config, GenerateConfig
from jdart.config.overrides import settings_of
from jdart.config.vary import require_variable, variants
from jdart.data.captions import Picture
from jdart.data.facts import style_pictures
from jdart.data.folder import tell_of_strangers
from jdart.data.layout import picture_folder
from jdart.data.pictures import stretched
from jdart.engines.look import require_engine
from jdart.runs.folder import RunFolder, contest_of, earlier_run, whole_contest_of, write_run
from jdart.runs.init_from import start_hashes
from jdart.runs.same_run import require_same
from jdart.runs.story import with_parts

if TYPE_CHECKING:
    from jdart.models.build import Base


@dataclass(frozen=True)
class Event:
    """How far a stage is: `done` of `total` units, for one style or all (None), and what was just done."""

    stage: str
    style: str | None
    done: int
    total: int
    text: str = ""
    skipped: bool = False  # this unit was there already


@dataclass(frozen=True)
class Job:
    """A configuration with everything it names looked up: folder, contest, references, base."""

    config: Config
    folder: RunFolder
    contest: Contest
    references: Mapping[str, tuple[Picture, ...]]
    base: Base
    revision: str | None
    notes: bool = True  # False in a worker: the process that started it keeps run.json

    def note(self) -> None:
        """Bring run.json up to date, where this process keeps it."""
        if not self.notes:
            return
        starts = start_hashes(self.config, tuple(self.contest.styles))
        write_run(self.folder, self.config, self.contest, self.base.identity, self.revision, starts)


def open_job(config: Config, notes: bool = True) -> Job:
    """Look up everything before anything is computed. Raises UserError for what is not there or not the same.

    `notes` says whether this process keeps run.json.
    """
    from jdart.models.hub.locate import open_base

    require_variable(config)
    if config.engine is not None:
        require_engine(config.engine)
    contest, root = contest_of(config), references_folder(config.references)
    if notes and root.is_dir() and config.data.layout == "contest" and config.story is None:
        tell_of_strangers(root, whole_contest_of(config).styles)
    if config.story is not None:
        config = with_parts(config, next(iter(contest.styles)))
    folders = {style: picture_folder(config.references, config.data.layout, style) for style in contest.styles}
    references = {style: style_pictures(folder, style, config.data) for style, folder in folders.items()}
    weights = config.score.weights
    if weights is not None and not Path(weights).is_dir() and not means_toy(weights):
        raise UserError(
            f"score.weights: {weights}: no such folder; leave it out to skip scoring, "
            f"fetch the contest's with: jdart-eval weights pull {weights}"
        )
    folder = RunFolder.of(config)
    earlier = earlier_run(folder)
    revision = config.base.revision
    if revision is None and earlier is not None:
        revision = earlier["base"].get("revision")
    base, revision = open_base(replace(config.base, revision=revision), config.memory)
    base.require_match()
    _check_size(base, config)
    _check_steps(base, config)
    _check_drawing(base, config, contest, references)
    if earlier is not None:
        require_same(folder, earlier, config, base.identity, start_hashes(config, tuple(contest.styles)))
    return Job(config, folder, contest, references, base, revision, notes)


def _check_size(base: Base, config: Config) -> None:
    factor = base.configs["vae"].factor
    if config.data.size % factor:
        raise UserError(f"data.size: {config.data.size} is not a multiple of {factor}, as this base's VAE needs")


def _check_drawing(base: Base, config: Config, contest: Contest, references: Mapping[str, tuple[Picture, ...]]) -> None:
    """What methods of drawing find missing in a style or the base is found before training, not after it."""
    from jdart.generation.attention.requirements import require_shareable
    from jdart.generation.colour.requirements import require_colourable
    from jdart.image_prompts.requirements import require_promptable

    size, unet, prompts_by_images = config.data.size, base.configs["unet"], set()
    for style, prompts in contest.styles.items():
        if config.generate.style_blend is not None and not config.learns(style):
            raise UserError(
                f"generate.style_blend: style {style} learns no composition at generate.lora_weight: 0; take another "
                "weight, or set style_blend to null"
            )
        paths = [picture.path for picture in references[style]]
        drawn = (settings_of(config.generate, 0, config.overrides, style, prompt)[0] for prompt in prompts)
        every = (one for settings in dict.fromkeys(drawn) for one in variants(config, settings))
        for settings in {_looks(settings): settings for settings in every}.values():
            require_shareable(settings, unet, style, [path.name for path in paths])
            if settings.ip_adapter is not None:
                prompts_by_images.add(settings.ip_adapter)
            pictures = (stretched(path, size) for path in paths)
            require_colourable(settings, size // base.configs["vae"].factor, style, pictures)
    for own in prompts_by_images:  # alike in most styles: each is looked at once
        require_promptable(own, unet, config.score.weights)


def _looks(settings: GenerateConfig) -> tuple[object, ...]:
    """What of the settings looks at the style's pictures."""
    attention = (settings.styleid, settings.style_aligned, settings.style_prompting, settings.style_blend)
    return settings.start, settings.colour, settings.loras, settings.ip_adapter, *attention


def _check_steps(base: Base, config: Config) -> None:
    """What the base's noise schedule has too few steps for is found before hours of training, not after them."""
    from jdart.generation.samplers import sampling_plan

    limit = base.schedule.num_train_timesteps
    own = {(settings.sampler, settings.steps) for settings in variants(config, config.generate)}
    drawn = [("generate.steps", sampler, steps) for sampler, steps in sorted(own)]
    drawn.append(("prior.steps", config.generate.sampler, config.prior.steps))
    if config.generate.styleid is not None:
        drawn.append(("generate.styleid.steps", "ddim", config.generate.styleid.steps))
    if config.train.composition is not None:
        drawn.append(("train.composition.sampling_steps", "ddim", config.train.composition.sampling_steps))
    for key, sampler, steps in drawn:
        try:
            sampling_plan(base.schedule, sampler, steps)
        except UserError as error:
            raise UserError(f"{key}: {error}") from error
    top = config.train.max_timestep
    if config.train.min_timestep >= limit or (top is not None and top > limit):
        raise UserError(f"train.min_timestep, train.max_timestep: out of range; this base has {limit} timesteps")
