"""A loss that falls, stands still or rises; Welch's t is SciPy's."""

import numpy as np
import pytest
from scipy.stats import ttest_ind

from jdart.training.watch import LEAST, remark, trouble


def noisy(slope, steps=300, seed=0):
    """Losses as spread as those of training, that change by `slope` of their mean on the whole way."""
    rng = np.random.default_rng(seed)
    return list(0.2 * (1 + slope * np.linspace(-0.5, 0.5, steps)) * rng.lognormal(0, 0.5, steps))


@pytest.mark.parametrize(("slope", "found"), [(-0.6, None), (0.0, "standing still"), (0.8, "rising")])
def test_the_means_of_the_ends_are_compared(slope, found):
    losses = noisy(slope)
    t = ttest_ind(losses[:100], losses[-100:], equal_var=False).statistic
    assert trouble(losses) == found == ("rising" if t < -3 else "standing still" if t <= 1 else None)


def test_a_few_steps_say_nothing():
    losses = noisy(0.8, LEAST)
    assert trouble(losses[:-1]) is None and remark(losses[:-1]) is None
    assert trouble([0.25] * LEAST) == "standing still"  # without any spread


def test_the_remark_says_what_to_do():
    assert remark([0.25] * 120) == (
        "the loss is standing still (0.2500 over the first third of 120 steps, 0.2500 over the last); "
        "where the pictures have too little of the style, raise train.learning_rate or train.steps"
    )
    assert "rising" in remark(noisy(0.8)) and "lower train.learning_rate" in remark(noisy(0.8))


def test_most_trainings_without_progress_are_seen_and_good_ones_are_not():
    still = [trouble(noisy(0.0, 100, seed)) for seed in range(200)]
    falling = [trouble(noisy(-0.6, 300, seed)) for seed in range(200)]
    assert still.count("standing still") > 140
    assert falling.count(None) > 190


def test_the_line_of_progress_says_it():
    from jdart.stages.training import _text
    from jdart.training.logs import StepRecord

    records = [StepRecord(number, 0.25, 1e-4, 1.0) for number in range(1, LEAST + 1)]
    assert _text(records[:-1]) == "loss 0.2500"
    assert _text(records) == "loss 0.2500, standing still"
