"""What PEFT's LoraConfig says beside the tensors: rank, alpha, targets; as diffusers and PEFT keep it with a file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from contest.errors import UserError
from jdart.lora.pairs import LoraPair

NAME = re.compile(r"\^?(?:\w|\\?\.)+\$?")  # a dot may be escaped


def adapter_config(pairs: Mapping[str, LoraPair]) -> dict[str, Any]:
    """The fields of a LoraConfig that rebuild `pairs`, which are all rank-stabilised or none, and all DoRA or none."""
    first = next(iter(pairs.values()))
    return {
        "r": first.rank,
        "lora_alpha": first.alpha,
        "target_modules": sorted({_target(name) for name in pairs}),
        "rank_pattern": {_tail(n): p.rank for n, p in pairs.items() if p.rank != first.rank},
        "alpha_pattern": {_tail(n): p.alpha for n, p in pairs.items() if p.alpha != first.alpha},
        **({"use_rslora": True} if first.rslora else {}),
        **({"use_dora": True} if first.magnitude is not None else {}),
    }


def noted(adapter: Mapping[str, Any], layer: str, pattern: str, default: str) -> Any:
    """What the settings say of a layer: by `pattern` (rank_pattern, alpha_pattern), else by `default`; or None.

    UserError for a pattern that is more than the end of a name, which PEFT takes as a regular expression.
    """
    patterns = adapter.get(pattern)
    names = (layer, _tail(layer))
    for key, value in patterns.items() if isinstance(patterns, Mapping) else ():
        if NAME.fullmatch(key) is None:
            raise UserError(f"{pattern} {key!r} is more than a layer's name; save the adapter with names alone")
        plain = key.replace("\\", "")
        end = plain.lstrip("^").rstrip("$")
        if any(name == end or (not plain.startswith("^") and name.endswith(f".{end}")) for name in names):
            return value
    return adapter.get(default)


def _target(layer: str) -> str:
    """The end of a layer's name that says its kind: "to_q", "to_out.0"."""
    *_, parent, leaf = ("", *layer.split("."))
    return f"{parent}.{leaf}" if leaf.isdigit() else leaf


def _tail(layer: str) -> str:
    """PEFT matches the end of names; transformers 5 names layers without this prefix, earlier ones with it."""
    return layer[len("text_model.") :] if layer.startswith("text_model.") else layer
