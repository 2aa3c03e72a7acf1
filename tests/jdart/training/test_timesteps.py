"""The distribution of timesteps against the published table, and against lambdas that are drawn and rounded."""

import math

import numpy as np
import pytest

from contest.errors import UserError
from jdart.config import TrainConfig
from jdart.models.schedule import NoiseSchedule
from jdart.training.timesteps import Timesteps, log_snr

SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def timesteps(prediction_type="epsilon", **settings):
    schedule = NoiseSchedule.from_config({**SD, "prediction_type": prediction_type})
    return Timesteps(TrainConfig(**{"timesteps": "style_friendly", **settings}), schedule)


def log_snr_of_sd():
    """lambda of every timestep, from the betas, in plain floats."""
    first, last, abar, found = math.sqrt(0.00085), math.sqrt(0.012), 1.0, []
    for t in range(1000):
        abar *= 1 - (first + (last - first) * t / 999) ** 2
        found.append(math.log(abar / (1 - abar)))
    return np.array(found)


def test_log_snr_is_that_of_the_betas():
    found = log_snr(timesteps().schedule)
    assert np.abs(found - log_snr_of_sd()).max() < 1e-4
    assert [int(np.abs(found - x).argmin()) for x in (-5, -4.6, -4, -3, -2, -1, 0)] == [
        968,
        933,
        876,
        771,
        647,
        506,
        354,
    ]


@pytest.mark.parametrize(
    ("mean", "quantiles", "share"),
    [
        (-6, (626, 811, 898, 955, 991), 0.77),
        (-4.6, (492, 727, 845, 927, 985), 0.61),
        (-4, (421, 677, 812, 908, 980), 0.53),
        (-3, (294, 573, 736, 860, 966), 0.37),
        (-2, (175, 442, 632, 786, 936), 0.23),
    ],
)
def test_quantiles_and_share_above_800_on_stable_diffusion(mean, quantiles, share):
    found = timesteps(log_snr_mean=float(mean))
    below = np.cumsum(found.probabilities)
    assert np.abs(np.searchsorted(below, (0.05, 0.25, 0.5, 0.75, 0.95)) - quantiles).max() <= 1
    assert 1 - found.share_below(801) == pytest.approx(share, abs=0.005)


@pytest.mark.parametrize(("mean", "std", "first", "end"), [(-3.0, 2.0, 0, None), (-1.0, 0.7, 200, 700)])
def test_a_timestep_is_drawn_as_often_as_a_normal_lambda_is_nearest_to_it(mean, std, first, end):
    """Monte Carlo: lambdas of the normal distribution, those beyond the levels left out, each to its nearest level."""
    found = timesteps(log_snr_mean=mean, log_snr_std=std, min_timestep=first, max_timestep=end)
    levels = log_snr_of_sd()[first:end]
    drawn = np.random.default_rng(0).normal(mean, std, 400_000)
    drawn = drawn[(drawn < levels[0]) & (drawn > levels[-1])]
    nearest = len(levels) - 1 - np.searchsorted((levels[::-1][1:] + levels[::-1][:-1]) / 2, drawn)
    bins = np.linspace(0, len(levels), 21).astype(int)
    expected = np.array([found.probabilities[a:b].sum() for a, b in zip(bins[:-1], bins[1:])])
    assert found.probabilities.sum() == pytest.approx(1, abs=1e-12)
    assert np.abs(np.histogram(nearest, bins)[0] / len(drawn) - expected).max() < 0.004


def test_draws_are_spread_as_the_probabilities_and_stay_in_their_range():
    found = timesteps(min_timestep=300, max_timestep=800)
    drawn = found.draw(np.random.default_rng(1), 100_000)
    assert drawn.dtype == np.int64
    assert drawn.min() >= 300 and drawn.max() < 800
    assert (drawn < 600).mean() == pytest.approx(found.share_below(600), abs=0.006)
    assert found.share_below(300) == 0 and found.share_below(800) == pytest.approx(1)


def test_uniform_draws_are_what_they_always_were():
    found = timesteps(timesteps="uniform", min_timestep=5, max_timestep=905)
    assert (found.draw(np.random.default_rng(3), 50) == np.random.default_rng(3).integers(5, 905, size=50)).all()
    assert found.share_below(230) == pytest.approx(0.25)
    everything = timesteps(timesteps="uniform").draw(np.random.default_rng(3), 50)
    assert (everything == np.random.default_rng(3).integers(0, 1000, size=50)).all()


def test_the_mean_follows_what_the_base_predicts():
    for kind, mean in (("epsilon", -3.0), ("v_prediction", -2.0)):
        assert (timesteps(kind).probabilities == timesteps(kind, log_snr_mean=mean).probabilities).all()


@pytest.mark.parametrize("mean", [-20.0, 20.0])
def test_a_mean_far_outside_takes_the_nearest_level(mean):
    found = timesteps(log_snr_mean=mean, log_snr_std=0.1).probabilities
    assert np.isfinite(found).all()
    assert found[-1 if mean < 0 else 0] > 0.8


def test_a_schedule_of_one_level_and_one_without_any():
    one = NoiseSchedule(np.array([0.5], np.float32), "epsilon")
    assert Timesteps(TrainConfig(timesteps="style_friendly"), one).probabilities.tolist() == [1.0]
    none = NoiseSchedule(np.array([0.0, 0.0], np.float32), "epsilon")
    with pytest.raises(UserError, match="take uniform"):
        Timesteps(TrainConfig(timesteps="style_friendly"), none).draw(np.random.default_rng(0), 1)
