"""At which noise levels training looks: drawn from all alike, or mostly from those where a style forms.

Source: Choi et al., Style-Friendly SNR Sampler, 2411.14793. They draw lambda = log SNR from a normal distribution; the
levels of Stable Diffusion end at -5.4, above the mean of theirs, so that here it is cut to the levels that there are.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from contest.errors import UserError
from jdart.config.sections.train import TrainConfig
from jdart.models.schedule import NoiseSchedule

# Means of log SNR, by what the network predicts: a loss on v looks at noisy levels more than one on the noise does.
LOG_SNR_MEANS = {"epsilon": -3.0, "v_prediction": -2.0}


class Timesteps:
    """The distribution of training's timesteps, from `min_timestep` up to, and without, `max_timestep`."""

    def __init__(self, settings: TrainConfig, schedule: NoiseSchedule):
        self.settings, self.schedule = settings, schedule
        self.first = settings.min_timestep
        self.end = schedule.num_train_timesteps if settings.max_timestep is None else settings.max_timestep

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """`count` timesteps, int64."""
        if self.settings.timesteps == "uniform":
            return rng.integers(self.first, self.end, size=count)
        return rng.choice(np.arange(self.first, self.end), size=count, p=self.probabilities)

    @cached_property
    def probabilities(self) -> np.ndarray:
        """Of each timestep from the first on, float64; their sum is 1.

        style_friendly: the normal density at a timestep's log SNR, times the log SNR that lies nearer to it than to its
        neighbours. UserError where no level of the schedule has a finite log SNR.
        """
        count = self.end - self.first
        if self.settings.timesteps == "uniform":
            return np.full(count, 1 / count)
        mean = self.settings.log_snr_mean
        mean = LOG_SNR_MEANS[self.schedule.prediction_type] if mean is None else mean
        levels = log_snr(self.schedule)
        with np.errstate(divide="ignore", invalid="ignore"):
            width = -np.gradient(levels) if len(levels) > 1 else np.ones(1)
            logs = np.log(width) - ((levels - mean) / self.settings.log_snr_std) ** 2 / 2
        logs = logs[self.first : self.end]
        logs = np.where(np.isfinite(logs), logs, -np.inf)
        if not np.isfinite(logs.max()):
            raise UserError("train.timesteps: style_friendly finds no noise level on this base; take uniform")
        weights = np.exp(logs - logs.max())  # the largest is 1, however far away the mean is
        return weights / weights.sum()

    def share_below(self, timestep: int) -> float:
        """How many of all draws lie below `timestep`, in [0, 1]."""
        return float(self.probabilities[: max(0, timestep - self.first)].sum())


def log_snr(schedule: NoiseSchedule) -> np.ndarray:
    """ln(abar / (1 - abar)) of every timestep, float64, falling."""
    with np.errstate(divide="ignore"):
        abar = schedule.alphas_cumprod.astype(np.float64)
        return np.log(abar) - np.log1p(-abar)
