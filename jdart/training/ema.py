"""A moving average of what is trained. Source: diffusers' EMAModel, whose warm-up this is."""

from __future__ import annotations

import jittor as jt


def ema_decay(step: int, decay: float) -> float:
    """How much of the average is kept at update `step`, counted from 1: nothing at first, then up to `decay`."""
    return 0.0 if step <= 1 else min(decay, step / (9 + step))


class EMA:
    """Exponential moving average of a flat vector of values, which it leaves alone."""

    def __init__(self, values: jt.Var, decay: float):
        self.values, self.decay = values, decay
        self.averages = jt.zeros(values.shape).stop_grad()

    def update(self, step: int) -> None:
        """Take the values in as they are after update `step`, counted from 1."""
        new = 1 - ema_decay(step, self.decay)
        self.averages.update(self.averages + (self.values - self.averages) * new)
