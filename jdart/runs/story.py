"""A story as a run: one style, of which every prompt of the story is drawn, with its own seed and negative prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from contest.definition import Contest
from contest.errors import UserError
from contest.reading import load_contest
from jdart.config.overrides import PromptOverride, StyleOverride
from jdart.data.layout import only_style
from jdart.data.story import Part, read_story, story_file

if TYPE_CHECKING:
    from jdart.config import Config

CONTEST = "kolors-story"  # where a configuration with a story names none


def story_contest(config: Config) -> Contest:
    """The contest of a configuration's story: its rules, with the one style and its prompts. UserError."""
    assert config.story is not None
    contest = load_contest(CONTEST if config.contest is None else config.contest)
    if contest.story is None:
        raise UserError(
            f"story: contest {contest.name} is none of stories; take contest: {CONTEST}, or leave story out"
        )
    if config.styles is None:
        style = only_style(config.references, config.data.layout)
    elif len(config.styles) == 1:
        style = config.styles[0]
    else:
        raise UserError(f"styles: a story is drawn in one, not in {', '.join(config.styles)}; name one of them")
    prompts = prompts_of(config.story)
    if len(prompts) < contest.story.pictures:
        least = contest.story.pictures
        lack = least - len(prompts)
        raise UserError(
            f"{story_file(config.story)}: has {len(prompts)} prompts; contest {contest.name} asks for {least} or more, "
            f"so add {lack}"
        )
    return replace(contest, styles={style: prompts})


def prompts_of(story: str) -> tuple[str, ...]:
    """The prompts of a story in their order. UserError as `read_story` has it."""
    return tuple(part.prompt for part in read_story(story))


def with_parts(config: Config, style: str) -> Config:
    """`config` with what its story says of single prompts as overrides; itself where there is no story."""
    if config.story is None:
        return config
    own = config.overrides.get(style, StyleOverride())
    prompts = dict(own.prompts)
    for part in read_story(config.story):
        if part.seed is not None or part.negative_prompt is not None:
            prompts[part.prompt] = _over(prompts.get(part.prompt, PromptOverride()), part)
    if not prompts:
        return config
    return replace(config, overrides={**config.overrides, style: replace(own, prompts=prompts)})


def _over(override: PromptOverride, part: Part) -> PromptOverride:
    seed = override.seed if part.seed is None else part.seed
    negative = override.negative_prompt if part.negative_prompt is None else part.negative_prompt
    return replace(override, seed=seed, negative_prompt=negative)


def says_otherwise(noted: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a picture of a story was drawn as another part of it: other words, another seed, other settings."""
    return any(noted.get(key) != value for key, value in wanted.items())
