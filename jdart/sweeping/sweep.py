"""The file of a sweep: a configuration, and which of its settings are varied. A YAML file."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Optional  # Python 3.9 evaluates the annotations of fields: no `X | None` in them

from contest.errors import UserError
from jdart.config import Config, from_mapping, to_mapping
from jdart.config.derived import SECTIONS, base_of, may_vary, place_of, setting_of, shipped
from jdart.config.problem import check
from jdart.config.reading import load_mapping, put, read_as
from jdart.runs.same_run import what_matters
from jdart.sweeping.space import Axis, Parameter, label_of


@dataclass(frozen=True)
class Prune:
    """When a trial is stopped after some of its styles, in the words of Optuna's WilcoxonPruner.

    That is when it is worse than the best trial, style by style, by a signed-rank test with this p.
    """

    p_threshold: float = 0.1
    n_startup_steps: int = 2  # styles after which it may be

    def __post_init__(self) -> None:
        check(0 < self.p_threshold < 1, f"p_threshold: {self.p_threshold} is not between 0 and 1")
        check(self.n_startup_steps >= 2, f"n_startup_steps: {self.n_startup_steps} is below 2")


@dataclass(frozen=True)
class Sweep:
    """The file. `set` changes the configuration `base` for all trials, `seed` is that of what is tried."""

    base: str = "demo"
    output: str = "outputs/sweep"
    set: Mapping[str, Any] = field(default_factory=dict)
    trials: int = 20
    seed: int = 0
    prune: Optional[Prune] = field(default_factory=Prune)  # None: every trial goes on to its end
    space: Mapping[str, Parameter] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check(bool(self.output), "output: must not be empty")
        check(self.trials >= 1, f"trials: {self.trials} is below 1")
        check(self.seed >= 0, f"seed: {self.seed} is below 0")
        check(bool(self.space), "space: name at least one setting, such as lora.r: {choices: [4, 8]}")
        for key in self.space:
            may = f"it may what begins with {', '.join(SECTIONS)}"
            check(may_vary(key), f"space: {key} is not for a sweep to vary; {may}")
            inside = [other for other in self.space if other.startswith(f"{key}.")]
            check(not inside, f"space: {', '.join(inside[:1])} lies inside {key}; vary one of the two")


@dataclass(frozen=True, eq=False)
class Plan:
    """A sweep with its configuration: `raw` is the mapping that a trial's values are put into."""

    source: str
    sweep: Sweep
    plain: Config
    raw: Mapping[str, Any]
    axes: tuple[Axis, ...]
    folder: Path

    @property
    def trials(self) -> Path:
        """Where the runs of the trials lie."""
        return self.folder / "trials"

    def mapping(self, values: Mapping[str, Any], name: str, place: str) -> dict[str, Any]:
        """The configuration with these values as a YAML file says it, as run `name` in the folder trials/`place`."""
        raw = copy.deepcopy(dict(self.raw))
        for key, value in values.items():
            put(raw, key, copy.deepcopy(value), f"space.{key}")
        return {**raw, "name": name, "output": str(self.trials / place)}

    def base_values(self) -> dict[str, Any] | None:
        """What the configuration has of its own, as Optuna knows it; None where that is not in the space."""
        plain = what_matters(to_mapping(self.plain))
        found = {}
        for axis in self.axes:
            if axis.parameter.choices is None:
                own = setting_of(self.plain, axis.key)
                fit = [own] if axis.holds(own) else []
            else:
                fit = [
                    label_of(value)
                    for value in axis.parameter.choices
                    if what_matters(to_mapping(from_mapping(self.mapping({axis.key: value}, "x", "x")))) == plain
                ]
            if not fit:
                return None
            found[axis.key] = fit[0]
        return found


def load_sweep(
    name_or_path: str,
    overrides: Sequence[str] = (),
    output: str | None = None,
    trials: int | None = None,
    **settings: Any,
) -> Plan:
    """Read a YAML file, or one that comes along by its name, and try what its space has.

    `overrides` and `settings` are those of `jdart.config.load_config`, and hold for every trial; `trials` takes the
    place of the file's. Raises UserError with all problems: of the file, else of the configuration, else of the space.
    """
    raw, source = load_mapping(str(place_of(name_or_path, "sweeps")))
    sweep = read_as(Sweep, raw, source)
    if trials is not None:
        if trials < 1:
            raise UserError(f"--trials {trials}: take 1 or more")
        sweep = replace(sweep, trials=trials)
    base, base_source = base_of(sweep.base, sweep.set, overrides, source, output)
    folder = Path(sweep.output if output is None else output)
    base.update(settings, name="base", output=str(folder / "trials"))
    plan = Plan(source, sweep, from_mapping(base, base_source), base, (), folder)
    problems: list[str] = []
    axes = [_axis(plan, key, parameter, problems) for key, parameter in sweep.space.items()]
    if problems:
        raise UserError(f"{source}: " + "; ".join(dict.fromkeys(problems)))
    return Plan(source, sweep, plan.plain, base, tuple(axis for axis in axes if axis is not None), folder)


def shipped_sweeps() -> tuple[str, ...]:
    """Names of the sweeps that come with jdart."""
    return shipped("sweeps")


def _axis(plan: Plan, key: str, parameter: Parameter, problems: list[str]) -> Axis | None:
    """The axis of a parameter whose every end or choice makes a configuration; None after noting what is wrong."""
    configs, before = [], len(problems)
    for value in parameter.checked:
        try:
            configs.append(from_mapping(plan.mapping({key: value}, "x", "x"), f"space.{key}"))
        except UserError as error:
            problems.append(str(error))
    if len(problems) > before:
        return None
    first = what_matters(to_mapping(configs[0]))
    if all(what_matters(to_mapping(config)) == first for config in configs[1:]):
        problems.append(f"space.{key}: changes nothing in a picture")
    whole = False
    if parameter.choices is None:
        kinds = {type(setting_of(config, key)) for config in configs}
        whole = kinds == {int}
        if not kinds <= {int, float}:
            problems.append(f"space.{key}: is no number; list choices in place of low and high")
        elif whole and parameter.step is not None and type(parameter.step) is not int:
            problems.append(f"space.{key}.step: {parameter.step} is not a whole number, as {key} is")
    return Axis(key, parameter, whole) if len(problems) == before else None
