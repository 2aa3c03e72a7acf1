"""Draw what a choices.json chose, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from contest.errors import UserError
from jdart.runs.job import Event, Job
from jdart.searching.chosen import Numbers, place, read_choices
from jdart.searching.folder import SearchFolder
from jdart.searching.rounds import PictureFile, candidate_groups
from jdart.stages.drawing import draw_groups


def replay_choices(job: Job, choices: Path) -> Iterator[Event]:
    """Draw the chosen candidates of the job's styles and put them among the entry's pictures.

    The candidates' settings are those of the file; all else, the LoRAs too, is the job's. UserError where the file
    lacks a prompt, or was made with another seed.
    """
    chosen, changes, seed = read_choices(choices)
    if seed != job.config.seed:
        raise UserError(f"{choices}: was made with seed {seed}, and this run has {job.config.seed}; set it with --set")
    for style, prompts in job.contest.styles.items():
        lacking = [prompt for prompt in prompts if prompt not in chosen.get(style, {})]
        if lacking:
            raise UserError(f"{choices}: chooses nothing for {style}/{lacking[0]}; name the choices of this contest")
    wanted = {style: {prompt: chosen[style][prompt] for prompt in own} for style, own in job.contest.styles.items()}
    yield from draw_chosen(job, wanted, changes, SearchFolder(job.folder).candidate)
    place(job, wanted)


def draw_chosen(
    job: Job, chosen: Numbers, changes: Mapping[int, Mapping[str, object]], file: PictureFile
) -> Iterator[Event]:
    """Draw the chosen candidates that are not there."""
    for style, prompts in chosen.items():
        groups = candidate_groups(job, style, {p: (n,) for p, n in prompts.items()}, changes, file)
        paths = [Path(request.name) for _, requests in groups for request in requests]
        there = sum(path.exists() for path in paths)
        yield Event("replay", style, there, len(paths), skipped=True)
        for done, path in enumerate(draw_groups(job, style, groups), there + 1):
            yield Event("replay", style, done, len(paths), path.stem)
