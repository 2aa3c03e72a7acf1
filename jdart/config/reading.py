"""A Config from YAML and back. Every problem of a file is reported together."""

from __future__ import annotations

import dataclasses
import math
import os
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, Union

from contest.disk.yaml_file import parse_yaml, read_yaml
from contest.errors import UserError
from jdart.config.problem import Problem, check
from jdart.config.whole import Config

Settings = TypeVar("Settings")


def shipped_folder() -> Path:
    """Where the configurations are that come with jdart: inside an installed package, or in the checkout."""
    installed = Path(__file__).parents[1] / "configs"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "configs"


def recipes() -> tuple[str, ...]:
    """Names of the configurations that come with jdart."""
    return tuple(sorted(path.stem for folder in _folders() for path in folder.glob("*.yaml")))


def load_config(name_or_path: str, overrides: Sequence[str] = (), **settings: Any) -> Config:
    """Read a YAML file, or a recipe by its name, and apply `overrides` such as "train.steps=200", then `settings`.

    Raises UserError that lists every unknown key, wrong type and value out of range.
    """
    raw, source = load_mapping(name_or_path)
    for each in overrides:
        override(raw, each)
    raw.update(settings)
    return from_mapping(raw, source)


def load_mapping(name_or_path: str) -> tuple[dict[str, Any], str]:
    """What a YAML file, or a recipe by its name, says, unchecked, and the file's path. Raises UserError."""
    path = Path(name_or_path)
    if not path.suffix and not os.path.exists(path):
        shipped = (folder / f"{name_or_path}.yaml" for folder in _folders())
        path = next(filter(os.path.isfile, shipped), path)
    if not os.path.isfile(path):
        raise UserError(f"{name_or_path}: no such configuration; recipes: {', '.join(recipes())}")
    raw = read_yaml(path)
    if raw is None:
        raw = {}
    if not isinstance(raw, dict):
        raise UserError(f"{path}: a configuration is a mapping of settings")
    return raw, str(path)


def from_mapping(raw: Mapping[str, Any], source: str = "configuration") -> Config:
    """Make a Config from nested mappings; the inverse of `to_mapping`."""
    return read_as(Config, raw, source)


def read_as(kind: type[Settings], raw: Mapping[str, Any], source: str) -> Settings:
    """Make a dataclass of settings from nested mappings. Raises UserError with every problem of `source`."""
    problems: list[str] = []
    settings = _build(kind, raw, "", problems)
    if problems or settings is None:
        raise UserError(f"{source}: " + "; ".join(problems))
    return settings


def to_mapping(settings: Any) -> dict[str, Any]:
    """Every setting of a Config, or of a section, as plain data, in the order of the dataclasses."""
    return dataclasses.asdict(
        settings, dict_factory=lambda pairs: {k: list(v) if isinstance(v, tuple) else v for k, v in pairs}
    )


def override(raw: dict[str, Any], text: str) -> None:
    """Apply a text such as train.steps=200 to nested mappings. Raises UserError for one that cannot be read."""
    key, equals, spelt = text.partition("=")
    if not equals or not all(key.split(".")):
        raise UserError(f"--set {text}: write it as section.key=value")
    try:
        value = parse_yaml(spelt)
    except ValueError as error:
        raise UserError(f"--set {text}: {spelt!r} is not a YAML value ({error})") from None
    put(raw, key, value, f"--set {text}")


def put(raw: dict[str, Any], key: str, value: Any, said: str) -> None:
    """Set `key`, such as train.steps, in nested mappings; a section that is not there, or null, becomes one.

    Raises UserError, with `said` before it, where the key is none or leads through what is no section.
    """
    if not all(key.split(".")):
        raise UserError(f"{said}: write the setting as section.key")
    *sections, leaf = key.split(".")
    for section in sections:
        if raw.get(section) is None:
            raw[section] = {}
        raw = raw[section]
        if not isinstance(raw, dict):
            raise UserError(f"{said}: {section} is not a section")
    raw[leaf] = value


def _folders() -> tuple[Path, ...]:
    """Where `load_mapping` looks for a name: the toy's configurations, and those of the contests' entries."""
    return shipped_folder(), shipped_folder() / "recipes"


def _build(cls: type, raw: Mapping[str, Any], prefix: str, problems: list[str]) -> Any:
    """An instance of a dataclass, or None after noting why not."""
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    before = len(problems)
    for key, value in raw.items():
        if key not in hints:
            problems.append(f"{prefix}{key}: unknown setting; known here: {', '.join(hints)}")
        else:
            values[key] = _value(value, hints[key], f"{prefix}{key}", problems)
    needed = [f.name for f in dataclasses.fields(cls) if f.default is f.default_factory is dataclasses.MISSING]
    problems += [f"{prefix}{name}: must be set" for name in needed if name not in raw]
    if len(problems) > before:
        return None
    try:
        return cls(**values)
    except Problem as problem:
        problems.append(f"{prefix}{problem}")
        return None


def _value(value: Any, hint: Any, where: str, problems: list[str]) -> Any:
    """A YAML value as the type a field asks for: a plain value, a section, or a list or mapping of either."""
    options = (
        typing.get_args(hint) if typing.get_origin(hint) in (Union, getattr(types, "UnionType", Union)) else (hint,)
    )
    if hint is Any or (isinstance(value, str) and str in options):
        return value
    wanted = next(option for option in options if option is not type(None))
    if value is None and type(None) in options:
        return None
    origin, inner = typing.get_origin(wanted), typing.get_args(wanted)
    if dataclasses.is_dataclass(wanted):
        if isinstance(value, Mapping):
            return _build(typing.cast(type, wanted), value, f"{where}.", problems)
        problems.append(f"{where}: must be a section with settings of its own")
    elif origin is tuple and dataclasses.is_dataclass(inner[0]):
        if isinstance(value, (list, tuple)):
            return tuple(_value(item, inner[0], f"{where}[{i}]", problems) for i, item in enumerate(value))
        problems.append(f"{where}: must be a list of sections")
    elif origin is not None and origin is not tuple:  # Mapping[str, X]
        if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
            return {key: _value(item, inner[1], f"{where}.{key}", problems) for key, item in value.items()}
        problems.append(f"{where}: must be a section; put its keys in quotes where they are numbers")
    else:
        try:
            return _convert(value, wanted)
        except Problem as problem:
            problems.append(f"{where}: {problem}")
    return None


def _convert(value: Any, wanted: Any) -> Any:
    """A plain YAML value, or a list of texts or whole numbers; Problem says what is wrong."""
    check(value is not None, "must not be empty")
    if typing.get_origin(wanted) is tuple:
        inner = typing.get_args(wanted)[0]
        if inner is float and isinstance(value, (list, tuple)):
            return tuple(_convert(item, float) for item in value)
        good = isinstance(value, (list, tuple)) and all(type(item) is inner for item in value)
        check(good, f"{value!r} is not a list of {_LISTS[inner]}")
        return tuple(value)
    if wanted is float and type(value) is int and abs(value) < 2**63:
        return float(value)
    if wanted in (int, float) and isinstance(value, str):
        raise Problem(f"{value!r} is text to YAML; write a number" + _as_yaml_number(value, wanted))
    check(type(value) is wanted, f"{value!r} is not {_NAMES[wanted]}")
    check(wanted is not float or math.isfinite(value), f"{value} is not a finite number")
    return value


_NAMES = {int: "a whole number", float: "a number", str: "text (put it in quotes)", bool: "true or false"}
_LISTS = {
    float: "numbers, such as [0.2, 0.8]",
    int: "whole numbers, such as [14, 15]",
    str: 'texts, such as ["00", "01"]',
}


def _as_yaml_number(text: str, wanted: type) -> str:
    """YAML 1.1 reads 1e-4 as text and 1.0e-4 as a number; show the spelling that works."""
    try:
        number = float(text)
    except ValueError:
        return ""
    if wanted is int and number.is_integer():
        return f", here {int(number)}"
    mantissa, e, exponent = f"{number:e}".partition("e")
    return f", here {float(mantissa)}e{int(exponent):+03d}" if e else ""
