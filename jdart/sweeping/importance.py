"""Which setting moves which metric: PED-ANOVA (2304.10255) over the trials."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from statistics import mean

from evaluator.scoring.formula import OTHER_TERMS, STYLE_TERMS
from jdart.sweeping.rows import FINISHED, STOPPED, Row
from jdart.sweeping.study import SweepStudy

METRICS = ("final", *STYLE_TERMS, *OTHER_TERMS)
LOW_IS_GOOD = ("lpips", "fid")
LEAST = 5  # trials
GOOD = 5  # trials that count as good ones; what is fewer says little


def judged(rows: Sequence[Row]) -> dict[int, dict[str, float]]:
    """Number of a trial -> metric -> its mean over the styles that all of these trials did.

    Those that were stopped count, too: without them a setting that loses a trial early would seem to do nothing.
    """
    over = [row for row in rows if row.state in (FINISHED, STOPPED) and row.styles]
    common = [style for style in over[0].styles if all(style in row.styles for row in over)] if over else []
    return {
        row.number: {name: mean(getattr(row.styles[style], name) for style in common) for name in METRICS}
        for row in over
        if common
    }


def importances(study: SweepStudy) -> dict[str, dict[str, float]]:
    """Metric -> setting -> its share of what tells the good trials from all, together 1. Nothing for few trials.

    Good is the best tenth by that metric, and no fewer than five trials, or half of them. A metric that all trials
    have alike has no shares.
    """
    import optuna
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    figures = judged(study.rows)
    if len(figures) < LEAST:
        return {}
    quantile = max(0.1, min(0.5, GOOD / len(figures)))
    trials = {frozen.number: frozen for frozen in study.study.get_trials(deepcopy=False)}
    found: dict[str, dict[str, float]] = {}
    for metric in METRICS:
        values = {number: own[metric] for number, own in figures.items()}
        if len(set(values.values())) == 1:
            found[metric] = {}
            continue
        alike = optuna.create_study(direction="minimize" if metric in LOW_IS_GOOD else "maximize")  # in memory
        for number, value in values.items():
            own = trials[number]
            alike.add_trial(optuna.create_trial(params=own.params, distributions=own.distributions, value=value))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of quantiles that hold the same trials; in Optuna 4 of a new interface
            evaluator = PedAnovaImportanceEvaluator(target_quantile=quantile)
            found[metric] = get_param_importances(alike, evaluator=evaluator)
    return found
