"""An ablation done: trained once per training setting, drawn and scored run by run. What is done is not done again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from contest.disk.files import link_file
from contest.errors import UserError
from jdart.config.idle import contrary_settings, idle_settings
from jdart.running.pipeline import open_scorer, require_scorable, score_entry
from jdart.runs.job import Event, Job, open_job
from jdart.runs.trained import is_trained
from jdart.searching.search import search
from jdart.stages.borrowing import take_loras
from jdart.stages.composition import learn_styles
from jdart.stages.learning import lessons
from jdart.stages.prior import make_prior
from jdart.stages.training import require_startable
from jdart.trying.pace import timed_drawing
from jdart.trying.trials import Trial

if TYPE_CHECKING:
    from evaluator.reporting.report import Report

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Run:
    """A trial with everything looked up, and the run in which its LoRAs are trained."""

    trial: Trial
    job: Job
    training: Job

    @property
    def trained(self) -> bool:
        """Whether nothing is left to train for it."""
        folder, config, styles = self.training.folder, self.training.config, self.training.contest.styles
        whole = config.train.composition is None or all(folder.composition.lora(style).exists() for style in styles)
        return not lessons(self.job) or (
            whole and all(is_trained(folder, config, name) for name in lessons(self.training))
        )

    @property
    def scored(self) -> bool:
        """Whether its report is there."""
        return (self.job.folder.report / "report.json").exists()


@dataclass(frozen=True)
class Progress:
    """How far a run is, or the `training` that it shares with others; `over` with the last event of either."""

    run: Run
    event: Event
    training: bool = False
    over: bool = False


def open_runs(trials: Sequence[Trial]) -> tuple[Run, ...]:
    """Look up everything that the runs need before anything is computed. Raises UserError.

    All share one base model in memory where they read it alike, and one job for equal training.
    """
    if trials[0].config.score.weights is None:
        raise UserError("score.weights: not set, so that there would be nothing to compare; take toy, or a folder")
    jobs: dict[str, Job] = {}
    bases: dict[object, Job] = {}

    def opened(config: object) -> Job:
        job = open_job(config)  # type: ignore[arg-type]
        return replace(job, base=bases.setdefault(job.base, job).base)

    runs = []
    for trial in trials:
        if trial.trained.output not in jobs:
            jobs[trial.trained.output] = opened(trial.trained)
        runs.append(Run(trial, opened(trial.config), jobs[trial.trained.output]))
    require_scorable(runs[0].job)
    for run in {id(run.training): run for run in runs}.values():
        if not run.trained:
            require_startable(run.training)
    _warn_of_idle_settings(trials)
    return tuple(runs)


def go(runs: Sequence[Run], device: str) -> Iterator[Progress]:
    """Train, draw and score what is missing, run after run."""

    @lru_cache
    def scorer() -> Callable[[Path], Report]:
        return open_scorer(runs[0].job, device)

    for run in runs:
        if not run.trained:
            run.training.note()
            for stage in (make_prior, learn_styles):
                yield from (Progress(run, event, training=True) for event in stage(run.training))
            yield Progress(run, Event("train", None, 1, 1), training=True, over=True)
        if lessons(run.job):
            take_loras(run.job, run.training.folder.root, link_file)
        run.job.note()
        drawing = timed_drawing(run.job) if run.job.config.search is None else search(run.job, device)
        yield from (Progress(run, event) for event in drawing)
        for event in score_entry(run.job, device, lambda folder: scorer()(folder)):
            yield Progress(run, event, over=event.done == event.total)


def _warn_of_idle_settings(trials: Sequence[Trial]) -> None:
    """A line for each setting that does nothing: of the plain run, and what a variant adds to those."""
    plain, *others = {trial.name: trial for trial in trials}.values()
    known = _idle(plain)
    for line in known:
        log.warning(line)
    for trial in others:
        for line in _idle(trial):
            if line not in known:
                log.warning("%s: %s", trial.name, line)


def _idle(trial: Trial) -> list[str]:
    return [*idle_settings(trial.config), *contrary_settings(trial.config)]
