"""The study of a sweep: Optuna's, kept as a journal in its folder; one process at a time works on it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from contest.errors import needs
from evaluator.scoring.formula import Scores
from jdart.config import Config, from_mapping
from jdart.sweeping.journal import alone_in, mend
from jdart.sweeping.rows import Row, row_of
from jdart.sweeping.same_sweep import facts_of, require_same
from jdart.sweeping.space import Label
from jdart.sweeping.sweep import Plan

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

NAME = "sweep"  # of the study in its journal
FACTS = "sweep"  # the study's attribute that says what it was made with
GRACE = 5  # seconds after which the journal's own lock is that of a dashboard that was killed; ours is mended

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Point:
    """A trial's number, its values as Optuna knows them, and the run that they make."""

    number: int
    labels: Mapping[str, Label]
    config: Config


@dataclass(frozen=True, eq=False)
class SweepStudy:
    """The trials of a plan, made and to be made, over `styles`."""

    plan: Plan
    styles: tuple[str, ...]
    study: Study
    storage: BaseStorage

    def trials(self) -> Iterator[Trial]:
        """Every trial that is not over: first those that were begun, with the values that they have, then new ones.

        One that is over when the next is asked for was told so; one that is not is begun again by the next call.
        """
        from optuna.trial import Trial

        study = self.storage.get_study_id_from_name(NAME)
        for frozen in self._every("RUNNING"):
            number = self.storage.get_trial_id_from_study_id_trial_number(study, frozen.number)
            yield Trial(self.study, number)
        while self._every("WAITING") or len(self._every()) < self.plan.sweep.trials:
            yield self.study.ask()

    def point(self, trial: Trial) -> Point:
        """The run of a trial, in the folder of the first one with the same values. UserError: they do not go together.

        The values are suggested now where it has none.
        """
        values = {axis.key: axis.suggest(trial) for axis in self.plan.axes}
        name = f"trial {trial.number}"
        config = from_mapping(self.plan.mapping(values, name, self.place(trial.params)), name)
        return Point(trial.number, dict(trial.params), config)

    def place(self, labels: Mapping[str, Label]) -> str:
        """The run folder below trials/ that trials with these values share: the first one's number."""
        return f"{min(frozen.number for frozen in self._every() if frozen.params == labels):04}"

    def known(self, trial: Trial) -> Mapping[int, float]:
        """What a trial has reported: number of a style -> its Final."""
        (frozen,) = (one for one in self._every() if one.number == trial.number)
        return dict(frozen.intermediate_values)

    def stops(self, trial: Trial) -> bool:
        """Whether the pruner finds that a trial cannot win any more."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SciPy's, of few or equal values
            return self.plan.sweep.prune is not None and trial.should_prune()

    def finish(self, trial: Trial, scores: Scores) -> None:
        """A trial came to its end."""
        for name, value in asdict(scores).items():
            trial.set_user_attr(name, value)
        self.study.tell(trial, scores.final)

    def stop(self, trial: Trial) -> None:
        """A trial is stopped before its end."""
        from optuna.trial import TrialState

        self.study.tell(trial, state=TrialState.PRUNED)

    def refuse(self, trial: Trial, reason: str) -> None:
        """A trial's values do not go together."""
        from optuna.trial import TrialState

        trial.set_user_attr("refused", reason)
        self.study.tell(trial, state=TrialState.FAIL)

    @property
    def rows(self) -> tuple[Row, ...]:
        """All trials so far, by number."""
        return tuple(row_of(frozen, self.styles) for frozen in self._every() if frozen.state.name != "WAITING")

    def _every(self, *states: str) -> list[FrozenTrial]:
        every = self.study.get_trials(deepcopy=False)
        return [frozen for frozen in every if not states or frozen.state.name in states]


def require_optuna() -> None:
    """UserError where Optuna, or SciPy, which its pruner would miss after hours, is not installed."""
    with needs("sweep"):
        import_module("optuna")
        import_module("scipy.stats")


@contextmanager
def open_study(plan: Plan, styles: Mapping[str, tuple[str, ...]], files: Mapping[str, str]) -> Iterator[SweepStudy]:
    """The study in the plan's folder, for this process alone. `styles` have their prompts.

    `files` are hashes of what else the figures depend on, by what it is. Raises UserError where the study was made
    with something else, or where another process is at work on it.
    """
    require_optuna()
    import optuna
    from optuna.exceptions import ExperimentalWarning
    from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

    from jdart.sweeping.pruner import StylePruner
    from jdart.sweeping.sampler import SteadySampler

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Absolute: Optuna's lock is a link to it, which leads nowhere else when it is relative, and then never expires.
    journal = plan.folder.absolute() / "study.log"
    journal.parent.mkdir(parents=True, exist_ok=True)
    with alone_in(plan.folder):
        mend(journal)
        lock = JournalFileSymlinkLock(str(journal), GRACE)
        storage = optuna.storages.JournalStorage(JournalFileBackend(str(journal), lock))
        prune = plan.sweep.prune
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            pruner = optuna.pruners.NopPruner() if prune is None else StylePruner(**asdict(prune))
        study = optuna.create_study(
            storage=storage,
            sampler=SteadySampler(plan.sweep.seed),
            pruner=pruner,
            study_name=NAME,
            direction="maximize",
            load_if_exists=True,
        )
        _warn_of_few_styles(plan, len(styles))
        facts = facts_of(plan, styles, files)
        if FACTS in study.user_attrs:
            require_same(plan, study.user_attrs[FACTS], facts)
        else:
            study.set_user_attr(FACTS, facts)
        own = plan.base_values()
        if own is not None and not study.get_trials(deepcopy=False):
            study.enqueue_trial(own)  # what is tried stands beside what was there before
        yield SweepStudy(plan, tuple(styles), study, storage)


def _warn_of_few_styles(plan: Plan, styles: int) -> None:
    """A trial that loses in every style but the last, which stops nothing any more, has this p."""
    prune, least = plan.sweep.prune, 0.5 ** (styles - 1)
    if prune is not None and (least >= prune.p_threshold or styles - 1 < prune.n_startup_steps):
        log.warning(
            "prune: no trial can be stopped: of %d styles all but the last give p = %.3g at best; set p_threshold "
            "above it and n_startup_steps to 2, or prune to null",
            styles,
            least,
        )
