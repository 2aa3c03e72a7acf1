"""TPE whose draws depend on the seed, a trial's number and the trials before it, not on the process that draws."""

from __future__ import annotations

import warnings
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from jdart.data.seeds import rng_for


class SteadySampler(BaseSampler):
    """Optuna's TPESampler, begun anew for every draw.

    Optuna's own counts on from draw to draw, so that after a stop it would suggest what the first trials had.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._tpe(trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._tpe(trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._tpe(trial, param_name).sample_independent(study, trial, param_name, param_distribution)

    def _tpe(self, trial: FrozenTrial, *purpose: str) -> TPESampler:
        seed = int(rng_for("sweep", self.seed, trial.number, *purpose).integers(2**32))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # Optuna 4 calls both options so
            return TPESampler(seed=seed, multivariate=True, constant_liar=True)
