"""The runs of an ablation: each an ordinary run folder, with the training that it shares with others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from contest.errors import UserError
from jdart.config import Config
from jdart.trying.ablation import PLAIN, Trials, full_name
from jdart.trying.sharing import drawing_of_training, shared_training

MOST_SEEDS = 31  # for which figures.py knows Student's t


@dataclass(frozen=True, eq=False)
class Trial:
    """A method at one strength with one seed; `trained` is the run in which what it draws with is learnt."""

    method: str
    variant: str
    seed: int
    config: Config
    trained: Config

    @property
    def name(self) -> str:
        """The method with its strength."""
        return full_name(self.method, self.variant)

    @property
    def folder(self) -> Path:
        """Where it is drawn and scored."""
        return Path(self.config.output)


def all_trials(trials: Trials, seeds: int) -> tuple[Trial, ...]:
    """Every run, the plain ones first, the seeds of a variant one after another."""
    if not 1 <= seeds <= MOST_SEEDS:
        raise UserError(f"--seeds {seeds}: take 1 to {MOST_SEEDS}")
    configs = {PLAIN: {PLAIN: trials.plain}, **trials.variants}
    return tuple(
        _trial(trials, method, variant, config, trials.plain.seed + number)
        for method, variants in configs.items()
        for variant, config in variants.items()
        for number in range(seeds)
    )


def chosen(every: Sequence[Trial], only: Sequence[str]) -> tuple[Trial, ...]:
    """The plain runs and those of the methods `only`, or all. Raises UserError for a method that is not there."""
    known = list(dict.fromkeys(trial.method for trial in every))
    for name in only:
        if name not in known:
            raise UserError(f"--only {name}: no such method; there are {', '.join(known)}")
    return tuple(trial for trial in every if not only or trial.method in (PLAIN, *only))


def _trial(trials: Trials, method: str, variant: str, config: Config, seed: int) -> Trial:
    place = Path("runs", method) if method == PLAIN else Path("runs", method, variant)
    drawn = replace(
        config, name=f"{config.name} seed {seed}", seed=seed, output=str(trials.folder / place / f"seed-{seed}")
    )
    return Trial(method, variant, seed, drawn, _training(trials, config))


def _training(trials: Trials, config: Config) -> Config:
    """The training of a variant, with the plain run's seed, and not told of what only drawing needs."""
    drawing = drawing_of_training(trials.plain.generate, config)
    return shared_training(replace(config, seed=trials.plain.seed, generate=drawing, search=None), trials.folder)
