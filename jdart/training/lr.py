"""Learning-rate schedules, as factors on the base rate; equal to `diffusers.optimization.get_scheduler`."""

from __future__ import annotations

from math import cos, pi, sqrt

from contest.errors import UserError
from jdart.config import TrainConfig
from jdart.config.sections.train import SCHEDULES

OPEN_ENDED = ("constant", "constant_with_warmup")  # no step depends on how many follow it


def lr_factor(
    name: str,
    step: int,
    warmup_steps: int,
    total_steps: int,
    *,
    cycles: int = 1,
    power: float = 1.0,
    end_factor: float = 0.0,
) -> float:
    """What the base learning rate is multiplied with for optimiser step `step`, counted from 0.

    All but "constant" rise linearly from 0 over `warmup_steps`; the others fall until `total_steps`. `cycles`
    counts the falls of "cosine_with_restarts"; "polynomial" falls with `power` to `end_factor` (in diffusers
    1e-7 / base rate). UserError for an unknown name.
    """
    if name not in SCHEDULES:
        raise UserError(f"learning-rate schedule {name!r} is not known; known: {', '.join(SCHEDULES)}")
    if name == "constant":
        return 1.0
    if step < warmup_steps:
        return step / warmup_steps
    if name == "constant_with_warmup":
        return 1.0
    done = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    left = max(0.0, 1 - done)
    if name == "linear":
        return left
    if name == "polynomial":
        return (1 - end_factor) * left**power + end_factor
    if name == "cosine":
        # Not clamped at `total_steps`: a longer run rises again, as in diffusers.
        return 0.5 * (1 + cos(pi * done))
    return 0.0 if done >= 1 else 0.5 * (1 + cos(pi * (cycles * done % 1)))


def loraplus_ratio(settings: TrainConfig, width: int, rank: int) -> float:
    """How many times faster B learns than A (Hayou et al., LoRA+, 2402.12354), 1 if it is not asked for.

    `width` counts the inputs (features or channels) of the layer.
    """
    if settings.loraplus_gamma is not None:
        return max(1.0, settings.loraplus_gamma * sqrt(width / rank))
    return 1.0 if settings.loraplus_lr_ratio is None else settings.loraplus_lr_ratio
