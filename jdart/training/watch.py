"""Whether a loss falls: what is said of one that stands still, or rises.

A step's loss is mostly its timestep and its noise, so that single values say nothing: the means of the first and the
last third are compared, by Welch's t. Of 88 trainings of the toy contest with 100 steps and more, t was below 1 in 2.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LEAST = 100  # steps; before them chance hides what there is to see
STILL, RISING = 1.0, -3.0  # t below which a loss has not fallen, or has risen
CURES = {
    "standing still": "where the pictures have too little of the style, raise train.learning_rate or train.steps",
    "rising": "lower train.learning_rate, or set train.max_grad_norm",
}


def trouble(losses: Sequence[float]) -> str | None:
    """A key of `CURES`; None for a loss that falls, or has too few steps to tell."""
    first, last = thirds(losses)
    if len(losses) < LEAST:
        return None
    fallen, error = first.mean() - last.mean(), np.sqrt((first.var(ddof=1) + last.var(ddof=1)) / len(first))
    if fallen < RISING * error:
        return "rising"
    return "standing still" if fallen <= STILL * error else None


def remark(losses: Sequence[float]) -> str | None:
    """`trouble` in a sentence, with what to do."""
    found = trouble(losses)
    if found is None:
        return None
    first, last = (third.mean() for third in thirds(losses))
    means = f"{first:.4f} over the first third of {len(losses)} steps, {last:.4f} over the last"
    return f"the loss is {found} ({means}); {CURES[found]}"


def thirds(losses: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """The first and the last third."""
    count = len(losses) // 3
    return np.asarray(losses[:count]), np.asarray(losses[len(losses) - count :])
