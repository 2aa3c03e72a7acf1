"""Every combination of some settings' values, as an ablation of one method."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from contest.disk.yaml_file import parse_yaml
from contest.errors import UserError
from jdart.config import load_config
from jdart.config.derived import SECTIONS, may_vary, setting_of, short_names
from jdart.trying.ablation import Ablation, Method, Variant

NAME = "grid"  # of the method


def grid(config: str, over: Sequence[str], overrides: Sequence[str] = ()) -> Ablation:
    """The combinations of `over` ("generate.guidance_scale=3,5,7.5", ...) beside the configuration as it is.

    Raises UserError for what is no list of a setting's values, and where nothing differs from the configuration.
    """
    values = _values(over)
    plain = load_config(config, overrides)
    combinations = [dict(zip(values, each)) for each in product(*values.values())]
    others = [each for each in combinations if any(setting_of(plain, key) != value for key, value in each.items())]
    if not others:
        raise UserError(f"--over: {config} has these values already; list others")
    told = " and ".join(f"{key} ({', '.join(map(_text, listed))})" for key, listed in values.items())
    return Ablation(
        title=f"{Path(config).stem}: {', '.join(values)}",
        base=config,
        output=f"outputs/{Path(config).stem}-{NAME}",
        methods={NAME: Method(f"Every combination of {told}.", variants=tuple(map(_variant, others)))},
    )


def _values(over: Sequence[str]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for each in over:
        key, _, text = each.partition("=")
        try:
            listed = parse_yaml(f"[{text}]")
        except ValueError:
            listed = []
        if not isinstance(listed, list) or not listed:
            raise UserError(f"--over {each}: write a setting and its values, such as generate.guidance_scale=3,5,7.5")
        if key in found:
            raise UserError(f"--over {key}: named twice; list all of its values at once")
        if not may_vary(key):
            raise UserError(f"--over {key}: may not vary; what may begins with {', '.join(SECTIONS)}")
        found[key] = listed
    return found


def _variant(settings: Mapping[str, Any]) -> Variant:
    """Named by its values, after the last words of their keys."""
    words = short_names(list(settings))
    told = "_".join(f"{words[key]}={_text(value)}" for key, value in settings.items())
    return Variant(re.sub(r"[^A-Za-z0-9._=-]+", "-", told), settings)


def _text(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
