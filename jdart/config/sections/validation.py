"""Settings of looking at a LoRA while it is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional  # Python 3.9 evaluates the annotations of fields: no `X | None` in them

from jdart.config.problem import check


@dataclass(frozen=True)
class ValidationConfig:
    """Pictures and a loss every so many steps; a stop when the loss no longer falls."""

    steps: Optional[int] = None  # updates between two validations; None: no validation
    images: int = 4  # drawn each time; 0: the loss alone
    prompts: tuple[str, ...] = ()  # objects to draw, in turn; empty: the style's prompts
    hold_out: int = 0  # reference pictures kept out of training for the loss; 0: the loss is on those of training
    loss_batches: int = 16  # micro-batches the loss is the mean of, always with the same noise and timesteps
    patience: Optional[int] = None  # validations without a better loss after which training stops; None: all steps
    min_delta: float = 0.0  # a loss is better when it is lower than the best one by more than this

    def __post_init__(self) -> None:
        check(self.steps is None or self.steps >= 1, f"steps: {self.steps} is below 1; use null for none")
        check(self.images >= 0, f"images: {self.images} is below 0")
        check(all(self.prompts), "prompts: one of them is empty")
        few = len(self.prompts) > self.images
        check(not few, f"images: {self.images} leaves out some of the {len(self.prompts)} prompts")
        check(self.hold_out >= 0, f"hold_out: {self.hold_out} is below 0")
        check(self.loss_batches >= 1, f"loss_batches: {self.loss_batches} is below 1")
        patience = self.patience
        check(patience is None or patience >= 1, f"patience: {patience} is below 1; use null to train all steps")
        check(self.min_delta >= 0, f"min_delta: {self.min_delta} is below 0")
        idle = self.steps is None and (patience is not None or self.hold_out > 0)
        check(not idle, "steps: patience and hold_out need a number of steps between validations")
