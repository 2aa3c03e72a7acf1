"""The trials of a sweep, one after another, each style by style. What is done is not done again."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Protocol

from contest.disk.files import write_bytes
from contest.errors import UserError, first_line
from evaluator.scoring.formula import Scores
from jdart.runs.folder import RunFolder
from jdart.runs.job import Event
from jdart.sweeping.rows import FAILURES, SCORES, SECONDS
from jdart.sweeping.study import Point, SweepStudy

if TYPE_CHECKING:
    from optuna.trial import Trial

ENTRY = "entry"  # in place of a style: the score of all of them

log = logging.getLogger(__name__)


class Bench(Protocol):
    """What a trial is done on."""

    def make(self, point: Point, style: str) -> Iterator[Event]:
        """Train and draw a style of it, as far as it is not there."""

    def score(self, point: Point, style: str | None) -> Scores:
        """Of a style alone, or of the whole entry."""


@dataclass(frozen=True)
class Progress:
    """How far a trial is: an event of its stage, or that one of its styles, or all of it, is over for now."""

    number: int
    event: Event | None = None
    style: str | None = None  # that is over
    fresh: bool = True  # it was done now, not by an earlier call
    ended: bool = False


def go(study: SweepStudy, bench: Bench) -> Iterator[Progress]:
    """Do all trials that are not over. One with a style that failed is not over: the next call tries that style."""
    for trial in study.trials():
        try:
            point = study.point(trial)
        except UserError as error:
            study.refuse(trial, str(error))
        else:
            yield from _trial(study, trial, point, bench)
        yield Progress(trial.number, ended=True)


def _trial(study: SweepStudy, trial: Trial, point: Point, bench: Bench) -> Iterator[Progress]:
    known = study.known(trial)
    for step, style in enumerate(study.styles):
        if step not in known:
            begun = time.monotonic()
            try:
                for event in bench.make(point, style):
                    yield Progress(point.number, event)
                yield Progress(point.number, Event("score", style, 0, 1))
                scores = bench.score(point, style)
            except Exception as error:
                _fail(trial, point, style, error)
                yield Progress(point.number, style=style)
                continue
            _note(trial, SECONDS, style, round(time.monotonic() - begun, 3))
            _note(trial, SCORES, style, asdict(scores))
            _note(trial, FAILURES, style, None)
            trial.report(scores.final, step)  # last: what is reported is done
        yield Progress(point.number, style=style, fresh=step not in known)
        if step + 1 < len(study.styles) and study.stops(trial):
            study.stop(trial)
            return
    if set(trial.user_attrs.get(FAILURES, {})) - {ENTRY}:
        return
    try:
        yield Progress(point.number, Event("score", None, 0, 1))
        scores = bench.score(point, None)
    except Exception as error:
        _fail(trial, point, ENTRY, error)
        return
    _note(trial, FAILURES, ENTRY, None)
    study.finish(trial, scores)


def _fail(trial: Trial, point: Point, style: str, error: Exception) -> None:
    """Note why a style could not be done; all that Python says of it goes into a log of the trial's run."""
    path = RunFolder.of(point.config).log(f"sweep-{style}")
    write_bytes(path, "".join(traceback.format_exception(type(error), error, error.__traceback__)).encode())
    what = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
    _note(trial, FAILURES, style, f"{what}{first_line(error)} ({path})")


def _note(trial: Trial, name: str, style: str, value: object) -> None:
    """Set a style's value in an attribute that has one for every style; None takes it out."""
    before: Mapping[str, object] = trial.user_attrs.get(name, {})
    now = {**{key: old for key, old in before.items() if key != style}, **({} if value is None else {style: value})}
    if now != before:
        trial.set_user_attr(name, now)
