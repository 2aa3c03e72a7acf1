"""What a sweep varies: a setting between two ends, or among choices, and how Optuna is asked for its value."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Union  # Python 3.9 evaluates aliases: no `X | Y` in them

from jdart.config.problem import check

if TYPE_CHECKING:
    from optuna.trial import Trial

Label = Union[None, bool, int, float, str]  # what Optuna knows a value as


@dataclass(frozen=True)
class Parameter:
    """One setting's values: from `low` to `high`, in steps of `step` or evenly on a `log` scale, or `choices`."""

    low: Any = None
    high: Any = None
    log: bool = False
    step: Any = None
    choices: Any = None

    def __post_init__(self) -> None:
        if self.choices is not None:
            ends = self.low is None and self.high is None and self.step is None and not self.log
            check(ends, "choices: take the place of low, high, step and log; leave one or the other out")
            several = isinstance(self.choices, (list, tuple)) and len(self.choices) > 1
            check(several, f"choices: {self.choices!r}; list two or more, such as [4, 8, 16]")
            labels = [label_of(value) for value in self.choices]
            twice = [value for value, label in zip(self.choices, labels) if labels.count(label) > 1]
            check(not twice, f"choices: {twice[0] if twice else None!r} is there twice")
            return
        check(self.low is not None and self.high is not None, "low, high: give both, or choices")
        for name in ("low", "high") if self.step is None else ("low", "high", "step"):
            value = getattr(self, name)
            good = type(value) in (int, float) and math.isfinite(value)
            hint = "; YAML takes 1.0e-4 for one, and 1e-4 for text" if isinstance(value, str) else ""
            check(good, f"{name}: {value!r} is not a number{hint}")
        check(self.low < self.high, f"high: {self.high} is not above low: {self.low}")
        check(not self.log or self.low > 0, f"low: {self.low} is not above 0, as log: true needs")
        check(not (self.log and self.step is not None), "step: does not go with log: true; leave one of the two out")
        if self.step is not None:
            check(self.step > 0, f"step: {self.step} is not above 0")
            whole = math.floor(_exact(self.high, self.low) / Decimal(str(self.step)))
            last = Decimal(str(self.low)) + whole * Decimal(str(self.step))
            check(last == Decimal(str(self.high)), f"high: no step of {self.step} ends there; take {last}")

    @property
    def checked(self) -> tuple[Any, ...]:
        """The values that a configuration must accept: both ends, or every choice."""
        return tuple(self.choices) if self.choices is not None else (self.low, self.high)


@dataclass(frozen=True)
class Axis:
    """A parameter that is known to go with its setting. `whole`: the setting takes whole numbers only."""

    key: str
    parameter: Parameter
    whole: bool = False

    @property
    def labels(self) -> Mapping[Any, Any]:
        """What Optuna knows each choice as -> the choice."""
        return {label_of(value): value for value in self.parameter.choices}

    def suggest(self, trial: Trial) -> Any:
        """The value that a trial has, or is given now."""
        own = self.parameter
        if own.choices is not None:
            return self.value(trial.suggest_categorical(self.key, list(self.labels)))
        if self.whole:
            step = 1 if own.step is None else own.step
            return trial.suggest_int(self.key, own.low, own.high, step=step, log=own.log)
        step = None if own.step is None else float(own.step)
        return trial.suggest_float(self.key, float(own.low), float(own.high), step=step, log=own.log)

    def value(self, label: Any) -> Any:
        """The value that Optuna knows as `label`."""
        return label if self.parameter.choices is None else self.labels[label]

    def holds(self, value: Any) -> bool:
        """Whether a number lies between the ends, on a step."""
        own = self.parameter
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not own.low <= value <= own.high:
            return False
        return own.step is None or _exact(value, own.low) % Decimal(str(own.step)) == 0


def label_of(value: Any) -> Label:
    """A choice as Optuna keeps it: a plain value as it is, a list or a section as JSON."""
    return value if value is None or isinstance(value, (bool, int, float, str)) else json.dumps(value, sort_keys=True)


def told(label: Label) -> str:
    """A value in a table or a plot."""
    if isinstance(label, float):
        return f"{label:.4g}"
    if label is None or isinstance(label, bool):
        return {None: "null", True: "true", False: "false"}[label]
    return str(label)


def _exact(value: float, low: float) -> Decimal:
    """How far above the low end, without what binary fractions lose."""
    return Decimal(str(value)) - Decimal(str(low))
