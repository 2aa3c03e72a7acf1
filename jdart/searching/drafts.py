"""Drafts: every candidate drawn cheaply, so that the better ones are drawn in earnest. None is ever in an entry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from contest.errors import UserError
from jdart.config import DraftConfig, GenerateConfig
from jdart.config.problem import Problem
from jdart.runs.job import Event, Job
from jdart.searching.folder import SearchFolder, number_and_prompt
from jdart.searching.judging import Looks, look_at_drafts
from jdart.stages.drawing import Group, draw_groups

if TYPE_CHECKING:
    from evaluator.scoring.scorer import Scorer
    from jdart.generation.batch import Request


def cheaper(settings: GenerateConfig, draft: DraftConfig) -> GenerateConfig:
    """How a draft of what is drawn with `settings` is drawn. UserError where its steps do not fit them."""
    try:
        return draft.cheaper(settings)
    except Problem as problem:
        raise UserError(str(problem)) from None


def draw_drafts(job: Job, style: str, groups: Sequence[Group], draft: DraftConfig) -> Iterator[Event]:
    """Draw the drafts of candidates, `groups` as they would be drawn in earnest; those that are there stay."""
    folder, total = SearchFolder(job.folder), sum(len(requests) for _, requests in groups)
    drafts = [(cheaper(settings, draft), [_renamed(folder, style, r) for r in own]) for settings, own in groups]
    for done, path in enumerate(draw_groups(job, style, drafts, draft.interval), 1):
        yield Event("search", style, 0, total, f"draft {done} of {total}: {path.stem}")


def drafts_looks(job: Job, style: str, numbers: Sequence[int], scorer: Scorer) -> Looks:
    """What the evaluator says of the drafts of these candidates of every prompt of a style."""
    folder, prompts = SearchFolder(job.folder), job.contest.styles[style]
    drafts = {number: {prompt: folder.draft(style, prompt, number) for prompt in prompts} for number in numbers}
    return look_at_drafts(scorer, style, drafts)


def _renamed(folder: SearchFolder, style: str, request: Request) -> Request:
    number, prompt = number_and_prompt(Path(request.name))
    return replace(request, name=str(folder.draft(style, prompt, number)))
