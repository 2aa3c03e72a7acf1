"""`jdart search`: several candidates a prompt, and those that the whole entry scores best with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from contest.errors import UserError
from jdart.commands.run import Opened, loras_option, open_run, run_options, settings_of, spread_options

if TYPE_CHECKING:
    from jdart.config import Config
    from jdart.runs.job import Event
    from jdart.searching.spending import Budget

STAGES = ("prior", "train", "check", "score", "build", "board")


@click.command("search")
@run_options
@loras_option
@spread_options
@click.option(
    "--budget",
    metavar="8|2h",
    help="Candidates of each prompt, or the time to draw them in (2h, 30min); instead of search.candidates.",
)
@click.option(
    "--replay",
    type=click.Path(path_type=Path),
    metavar="CHOICES",
    help="Draw what a choices.json chose, and nothing else.",
)
@click.option(
    "--holdout",
    type=click.IntRange(min=1),
    metavar="K",
    help="Say what is left of the gain: choose without K references of each style, score with them.",
)
def search_command(
    config: str,
    overrides: tuple[str, ...],
    styles: str | None,
    output: str | None,
    budget: str | None,
    replay: Path | None,
    holdout: int | None,
    **arguments: Any,
) -> None:
    """Draw several candidates of each prompt, choose by Final itself, and go on to the archive and the board.

    What varies from one candidate to the next is listed in CONFIG's section `search`; without one, only the seed does.
    choices.json says of each picture what was tried, what was chosen and why. What was tried is not tried again: the
    same command goes on where it was stopped, or with a larger budget.
    """
    from jdart.searching.spending import read_budget

    if replay is not None and (budget is not None or holdout is not None):
        raise UserError("--replay draws what was chosen already; leave --budget and --holdout out")
    read = None if budget is None else read_budget(budget)
    settings = _searching(settings_of(config, overrides, styles, output))
    opened = open_run(("score", *STAGES), config, overrides, styles, output, settings=settings, **arguments)
    from jdart.running.pipeline import stages
    from jdart.running.stages import show_stages

    every = stages(opened.job, opened.device)
    first = {name: every[name] for name in opened.spread(("prior", "train"))}
    if replay is None:
        middle = {"search": lambda: _search(opened, read)}
        if holdout is not None:
            from jdart.searching.holdout import hold_out

            middle["hold out"] = lambda: hold_out(opened.job, opened.device, holdout)
    else:
        from jdart.searching.replay import replay_choices

        middle = {"replay": lambda: replay_choices(opened.job, replay)}
    last = {name: every[name] for name in ("check", "score", "build", "board")}
    show_stages({**first, **middle, **last}, opened.job.folder.root)
    if replay is None:
        from jdart.searching.telling import print_gains

        print_gains(opened.job)


def _searching(settings: Config) -> Config:
    """The configuration with a section `search`, if only to try other seeds."""
    from jdart.config import SearchConfig
    from jdart.config.honoured import require_own

    require_own(settings, "jdart search")
    if settings.score.weights is None:
        raise UserError("score.weights: not set, so that there is nothing to choose by; take toy, or a folder")
    return settings if settings.search is not None else replace(settings, search=SearchConfig())


def _search(opened: Opened, budget: Budget | None) -> Iterator[Event]:
    from jdart.searching.search import search

    if opened.execute is None:
        return search(opened.job, opened.device, budget)
    return search(opened.job, opened.device, budget, len(opened.workers), lambda wave: _elsewhere(opened, wave))


def _elsewhere(opened: Opened, wave: Sequence[tuple[str, int, int]]) -> Iterator[Event]:
    """Candidates in processes of their own, a style each. UserError when some failed, after the others ended."""
    from jdart.jobs.tasks import FAILED, search_task

    assert opened.execute is not None
    prompts = {style: len(own) for style, own in opened.job.contest.styles.items()}
    before = {style: first * prompts[style] for style, first, _ in wave}
    failed = {}
    with closing(opened.execute([search_task(opened.job, style, then) for style, _, then in wave])) as stream:
        for progress in stream:
            if progress.event is not None:
                done, total = (number + before[progress.task] for number in (progress.event.done, progress.event.total))
                yield replace(progress.event, done=done, total=total)
            if progress.state == FAILED:
                failed[progress.task] = progress.text
    if failed:
        told = "; ".join(f"{style}: {why} ({opened.job.folder.log(style)})" for style, why in failed.items())
        raise UserError(f"candidates failed of {told}; run the same command again to go on")
