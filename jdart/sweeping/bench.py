"""What a trial is done on: a run folder of its own, trained where equal trainings are, drawn and scored by style."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from contest.disk.files import link_file
from contest.errors import UserError
from evaluator.scoring.formula import Scores
from jdart.config import Config, from_mapping
from jdart.config.idle import contrary_settings, idle_settings
from jdart.running.pipeline import require_scorable
from jdart.runs.job import Event, Job, open_job
from jdart.searching.judging import scorer_of
from jdart.stages.borrowing import take_loras
from jdart.stages.composition import learn_styles
from jdart.stages.learning import lessons
from jdart.stages.prior import make_prior
from jdart.stages.training import require_startable
from jdart.sweeping.study import Point
from jdart.sweeping.sweep import Plan
from jdart.trying.pace import timed_drawing
from jdart.trying.sharing import drawing_of_training, shared_training

if TYPE_CHECKING:
    from evaluator.scoring.scorer import Scorer
    from jdart.models.build import Base

log = logging.getLogger(__name__)


class RealBench:
    """Trains and draws with Jittor, scores with the evaluator. One base in memory, one scorer for all trials.

    Opening it looks up what the trials need. Raises UserError for what is missing, and for values of the space that
    the base, or a style, does not go with.
    """

    def __init__(self, plan: Plan, device: str) -> None:
        if plan.plain.score.weights is None:
            raise UserError("score.weights: not set, so that no trial would be better than another; name a folder")
        self.plan, self.device = plan, device
        self.bases: dict[object, Base] = {}
        self.opened: tuple[int, Job, Job] | None = None
        self.plain = self._sharing(open_job(replace(plan.plain, output=str(plan.trials / "none"))))
        require_scorable(self.plain)
        require_startable(self.plain)
        self._try_space()

    @cached_property
    def scorer(self) -> Scorer:
        """Of all entries and styles; it loads a network when the first picture needs one."""
        return scorer_of(self.plain, self.device)

    @property
    def styles(self) -> Mapping[str, tuple[str, ...]]:
        """With their prompts."""
        return {style: tuple(prompts) for style, prompts in self.plain.contest.styles.items()}

    @property
    def files(self) -> dict[str, str]:
        """Hashes of what the figures depend on beside the settings."""
        weights = {f"the evaluator's {name}": digest for name, digest in self.scorer.hashes.items()}
        references = self.scorer.references_sha256(tuple(self.styles))
        return {"the base model's weights": self.plain.base.identity, "the references": references, **weights}

    def make(self, point: Point, style: str) -> Iterator[Event]:
        """Train and draw a style, as far as it is not there. A packed LoRA is trained with the first of them."""
        job, training = (replace(one, contest=one.contest.subset([style])) for one in self._jobs(point))
        if training.config.train.packed:
            training = self._jobs(point)[1]
        if lessons(job):
            training.note()
            yield from make_prior(training)
            yield from learn_styles(training)
            take_loras(job, training.folder.root, link_file)
        job.note()
        yield from timed_drawing(job)

    def score(self, point: Point, style: str | None) -> Scores:
        """Of a style alone, with its own FID, or of the whole entry, whose report is written."""
        from evaluator.inputs.entry import open_entry
        from evaluator.reporting.output import report_folder, write_report

        folder = self._jobs(point)[0].folder.root
        with open_entry(folder) as entry:
            place = report_folder(entry, None)
            admitted = self.scorer.admit(entry, list(self.styles) if style is None else [style])
            report, attachments = self.scorer.score(entry, admitted)
        if style is None:
            write_report(place, report, attachments)
        return report.scores

    def _jobs(self, point: Point) -> tuple[Job, Job]:
        """The run of a trial, and that in which what it draws with is trained."""
        if self.opened is None or self.opened[0] != point.number:
            self.opened = (point.number, self._open(point.config), self._open(training_of(self.plan, point.config)))
        return self.opened[1:]

    def _open(self, config: Config) -> Job:
        """A job that says nothing of strange files among the references: the plain one has."""
        return replace(self._sharing(open_job(config, notes=False)), notes=True)

    def _sharing(self, job: Job) -> Job:
        """The job with the base that is in memory already, if its memory settings are the same."""
        return replace(job, base=self.bases.setdefault(job.base, job.base))

    def _try_space(self) -> None:
        """UserError for values that the base, or a style, does not go with; a line for settings that do nothing."""
        problems, plain = [], _idle(self.plan.plain)
        idle = list(plain)
        for axis in self.plan.axes:
            for value in axis.parameter.checked:
                config = from_mapping(self.plan.mapping({axis.key: value}, "space", "none"))
                idle += [f"space.{axis.key}: {line}" for line in _idle(config) if line not in plain]
                try:
                    self._open(config)
                except UserError as error:
                    problems.append(f"space.{axis.key}: {error}")
        if problems:
            raise UserError(f"{self.plan.source}: " + "; ".join(dict.fromkeys(problems)))
        for line in dict.fromkeys(idle):
            log.warning(line)


def training_of(plan: Plan, config: Config) -> Config:
    """The training of a trial: not told of what only drawing needs, so that trials that differ there share it.

    The base's own pictures, of a prior or a composition, are drawn as the trial draws.
    """
    drawing = drawing_of_training(plan.plain.generate, config)
    if config.prior.used or config.train.composition is not None:
        own = config.generate
        drawing = replace(
            drawing, sampler=own.sampler, guidance_scale=own.guidance_scale, negative_prompt=own.negative_prompt
        )
    return shared_training(replace(config, generate=drawing), plan.folder)


def _idle(config: Config) -> list[str]:
    return [*idle_settings(config), *contrary_settings(config)]
