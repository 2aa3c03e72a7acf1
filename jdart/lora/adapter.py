"""What PEFT's LoraConfig says beside the tensors: rank, alpha, targets; as diffusers and PEFT keep it with a file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from jdart.lora.pairs import LoraPair
from submission.errors import UserError

NAME = re.compile(r"\^?[\w.]+")


def adapter_config(pairs: Mapping[str, LoraPair]) -> dict[str, Any]:
    """The fields of a LoraConfig that rebuild `pairs`, which are all rank-stabilised or none."""
    first = next(iter(pairs.values()))
    return {
        "r": first.rank,
        "lora_alpha": first.alpha,
        "target_modules": sorted({_target(name) for name in pairs}),
        "rank_pattern": {_tail(n): p.rank for n, p in pairs.items() if p.rank != first.rank},
        "alpha_pattern": {_tail(n): p.alpha for n, p in pairs.items() if p.alpha != first.alpha},
        **({"use_rslora": True} if first.rslora else {}),
    }


def noted_alpha(adapter: Mapping[str, Any], layer: str) -> Any:
    """What the settings say of a layer's alpha, or None. UserError for a pattern that is more than a name."""
    pattern = adapter.get("alpha_pattern")
    for key, value in pattern.items() if isinstance(pattern, Mapping) else ():
        if NAME.fullmatch(key) is None:
            raise UserError(f"alpha_pattern {key!r} is more than a layer's name; save the adapter with names alone")
        if layer == key.lstrip("^") or (not key.startswith("^") and layer.endswith("." + key)):
            return value
    return adapter.get("lora_alpha")


def require_plain(adapter: Mapping[str, Any]) -> None:
    """Raise UserError for kinds of adapters whose tensors would be read as LoRA's and mean something else."""
    kind = adapter.get("peft_type")
    if kind not in (None, "LORA"):
        raise UserError(f"the adapter is {kind}, not LORA; only LoRA is read")
    for key in ("use_dora", "fan_in_fan_out", "lora_bias", "alora_invocation_tokens", "layer_replication"):
        if adapter.get(key):
            raise UserError(f"the adapter has {key}; only plain and rank-stabilised LoRA are read")


def _target(layer: str) -> str:
    """The end of a layer's name that says its kind: "to_q", "to_out.0"."""
    *_, parent, leaf = ("", *layer.split("."))
    return f"{parent}.{leaf}" if leaf.isdigit() else leaf


def _tail(layer: str) -> str:
    """PEFT matches the end of names; transformers 5 names layers without this prefix, earlier ones with it."""
    return layer[len("text_model.") :] if layer.startswith("text_model.") else layer
