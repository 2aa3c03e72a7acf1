"""The training loop: gradients, clipping, update, moving average.

Source: diffusers' train_dreambooth_lora for the order of things.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import jittor as jt
import numpy as np

from contest.errors import UserError
from jdart.config import TrainConfig
from jdart.training.ema import EMA
from jdart.training.learner import Learner
from jdart.training.logs import StepRecord
from jdart.training.lr import lr_factor
from jdart.training.optim import AdamW, clip_by_norm, flatten, pieces


class Trainer:
    """Trains `learner` in place, a step at a time. `state` and `restore` carry it over to another process."""

    def __init__(self, learner: Learner, settings: TrainConfig):
        self.learner, self.settings = learner, settings
        self.trainables = learner.trainables
        self.parameters = [trainable.value for trainable in self.trainables]
        self.optimiser = AdamW(
            self.parameters,
            [trainable.learning_rate for trainable in self.trainables],
            (settings.adam_beta1, settings.adam_beta2),
            settings.adam_epsilon,
            settings.adam_weight_decay,
        )
        self.ema = None if settings.ema_decay is None else EMA(self.optimiser.values, settings.ema_decay)

    @property
    def steps(self) -> int:
        """Updates made so far."""
        return self.optimiser.steps

    def step(self) -> StepRecord:
        """One update of the weights. Raises UserError when the loss is no longer a number."""
        settings, step = self.settings, self.steps
        losses, gradient = self._gradient(step)
        clipped, norm = clip_by_norm(gradient, settings.max_grad_norm)
        factor = lr_factor(settings.lr_scheduler, step, settings.lr_warmup_steps, settings.steps)
        self.optimiser.step(clipped, factor)
        if self.ema is not None:
            self.ema.update(self.steps)
        jt.sync([norm, *self._state().values(), *self.parameters])
        loss = sum(loss.item() for loss in losses)  # asked for last: until then a GPU need not be waited for
        if not np.isfinite(loss):
            raise UserError(
                f"style {self.learner.style}: the loss is {loss} at step {step + 1}; "
                "lower train.learning_rate, with another --output"
            )
        return StepRecord(step + 1, loss, settings.learning_rate * factor, norm.item())

    def _gradient(self, step: int) -> tuple[list[jt.Var], jt.Var]:
        """The loss of each micro-batch, already divided by their number, and the sum of their gradients, flat."""
        passes = self.settings.gradient_accumulation_steps
        losses: list[jt.Var] = []
        total = None
        for micro in range(passes):
            loss = self.learner.loss(step * passes + micro) / passes
            # A gradient can itself be differentiated, and keeps every activation for that unless told otherwise.
            gradient = flatten(jt.grad(loss, self.parameters)).stop_grad()
            total = gradient if total is None else total + gradient
            losses.append(loss.stop_grad())
            jt.sync([losses[-1], total])  # one micro-batch in memory at a time
        return losses, total

    def _state(self) -> dict[str, jt.Var]:
        """Everything that a step changes, flat."""
        optimiser = self.optimiser
        state = {"": optimiser.values, ".mean": optimiser.means, ".square": optimiser.squares}
        return state if self.ema is None else {**state, ".average": self.ema.averages}

    def state(self) -> dict[str, np.ndarray]:
        """All that the next step depends on beside the number of steps made: by the name of what is trained."""
        return {
            trainable.name + part: piece.numpy()
            for part, flat in self._state().items()
            for trainable, piece in zip(self.trainables, pieces(flat, self.parameters))
        }

    def restore(self, steps: int, state: Mapping[str, np.ndarray]) -> None:
        """Go on after `steps` updates with what `state` gave then. Raises UserError when it is of another network."""
        shapes = {t.name + part: tuple(t.value.shape) for part in self._state() for t in self.trainables}
        if shapes != {name: value.shape for name, value in state.items()}:
            raise UserError("the checkpoint is of another network or another LoRA; move it away to train anew")
        for part, flat in self._state().items():
            values = np.concatenate([state[trainable.name + part].ravel() for trainable in self.trainables])
            flat.update(jt.array(np.pad(values, (0, flat.numel() - len(values)))).stop_grad())
        self.optimiser.assign(self.optimiser.values)
        jt.sync([*self._state().values(), *self.parameters])
        self.optimiser.steps = steps

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Within it the learner holds what is kept in the end: the moving average, where there is one."""
        if self.ema is None or self.steps == 0:
            yield
            return
        self.optimiser.assign(self.ema.averages)
        jt.sync(self.parameters)
        try:
            yield
        finally:
            self.optimiser.assign(self.optimiser.values)
            jt.sync(self.parameters)


def train(learner: Learner, settings: TrainConfig) -> Iterator[StepRecord]:
    """Train `learner` in place for `settings.steps` updates."""
    trainer = Trainer(learner, settings)
    while trainer.steps < settings.steps:
        yield trainer.step()
