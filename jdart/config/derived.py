"""What the files share that change a configuration many times over: ablations and sweeps."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from contest.errors import UserError
from jdart.config.reading import load_mapping, override, put, shipped_folder, to_mapping
from jdart.config.whole import Config

# whose settings such a file may vary: the rest is what makes runs comparable
SECTIONS = (
    *("data", "lora", "text_encoder_lora", "token", "train", "validation", "prior", "generate", "memory", "search"),
)


def may_vary(key: str) -> bool:
    """Whether `key`, such as train.steps, is a setting that makes no other contest, base or judge of a run."""
    return key.partition(".")[0] in SECTIONS


def shipped(kind: str) -> tuple[str, ...]:
    """Names of the files of a kind, such as ablations, that come with jdart."""
    return tuple(sorted(path.stem for path in (shipped_folder() / kind).glob("*.yaml")))


def place_of(name_or_path: str, kind: str) -> Path:
    """A file, or one that comes along by its name. UserError where there is none."""
    path = Path(name_or_path)
    if not path.suffix and not os.path.exists(path):
        path = shipped_folder() / kind / f"{name_or_path}.yaml"
    if not os.path.isfile(path):
        known = ", ".join(shipped(kind))
        raise UserError(f"{name_or_path}: no such {kind[:-1]}; those that come along: {known}")
    return path


def base_of(
    base: str, changed: Mapping[str, Any], overrides: Sequence[str], source: str, output: str | None
) -> tuple[dict[str, Any], str]:
    """What the configuration `base` says with what `source` changes in it and then `overrides`, and its own path.

    Raises UserError where one of them sets the name or the folder, which each run has of its own, or `output`, which
    the user gave for the folder of all, is empty.
    """
    for key in (*changed, *(each.partition("=")[0] for each in overrides)):
        if key in ("name", "output"):
            raise UserError(f"{source}: set: {key} is each run's own; name their folder with output, or --output")
    if output == "":
        raise UserError("--output: must not be empty; name a folder")
    raw, base_source = load_mapping(base)
    for key, value in changed.items():
        put(raw, key, value, f"{source}: set")
    for each in overrides:
        override(raw, each)
    return raw, base_source


def setting_of(config: Config, key: str) -> Any:
    """What a configuration has at a dotted key; None where a section on the way there is null."""
    value: Any = to_mapping(config)
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Each setting as a heading: the last words of its key, as many as say something and tell it from the others."""
    names = {}
    for key in keys:
        words = key.split(".")
        ends = [".".join(words[-count:]) for count in range(1, len(words) + 1)]
        others = [f".{other}" for other in keys if other != key]
        alone = [end for end in ends if not any(other.endswith(f".{end}") for other in others)]
        names[key] = next((end for end in alone if len(end) > 2), key)
    return names
