"""Looking at a LoRA while it is trained: a loss on fixed noise, and when to stop by it.

All is done in the network that is trained, through the adapters that are in it: no second model is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import jittor as jt
import numpy as np

from jdart.training.examples import Examples
from jdart.training.learner import Learner
from jdart.training.timesteps import Timesteps


@contextmanager
def evaluating(learner: Learner) -> Iterator[None]:
    """Within it the networks compute as they will for drawing: without dropout."""
    networks = (learner.base.unet, learner.base.text_encoder)
    training = [module for network in networks for module in network.modules() if module.is_training()]
    for module in training:
        module.is_train = False  # Module.eval would also end the gradients of what is trained
    try:
        yield
    finally:
        for module in training:
            module.is_train = True


def validation_loss(learner: Learner, examples: Examples, batches: int) -> float:
    """Mean loss over `batches` micro-batches of `examples`, without prior pictures.

    Training counts its micro-batches from 0; these are -1, -2, ...: always the same noise and timesteps, and none
    that is trained on. All noise levels count alike, whichever are trained most, so that the losses of runs compare.
    """
    kept = learner.instance, learner.prior, learner.timesteps
    learner.instance, learner.prior = examples, None
    learner.timesteps = Timesteps(replace(learner.config.train, timesteps="uniform"), learner.base.schedule)
    try:
        with jt.no_grad():
            return float(np.mean([learner.loss(-1 - number).item() for number in range(batches)]))
    finally:
        learner.instance, learner.prior, learner.timesteps = kept


def out_of_patience(losses: Sequence[float], patience: int, min_delta: float) -> bool:
    """Whether the last `patience` losses are none of them lower than the best before them by over `min_delta`."""
    best, waited = float("inf"), 0
    for loss in losses:
        better = loss < best - min_delta
        best, waited = (loss, 0) if better else (best, waited + 1)
    return waited >= patience
