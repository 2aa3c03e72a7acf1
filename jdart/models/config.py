"""Read a network's `config.json` into a dataclass, and refuse variants that would load but compute something else."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from contest.errors import UserError

C = TypeVar("C")
MAY_BE_ZERO = ("downsample_padding", "freq_shift")


def read_config(cls: type[C], raw: Any, what: str, fixed: Mapping[str, Any]) -> C:
    """Make `cls` from the keys it knows. `fixed` names settings that have one supported value; another one is an error.

    Keys that are absent take the default of `cls`, as diffusers and transformers do; the others must be of its kind.
    Every problem is reported at once.
    """
    if not isinstance(raw, Mapping):
        raise UserError(f"{what}: its config.json must hold a JSON object; fetch the base model again")
    problems = [
        f"{key} is {raw[key]!r}, supported is {value!r}" for key, value in fixed.items() if raw.get(key, value) != value
    ]
    if problems:
        raise UserError(f"{what}: this variant is not built here: " + "; ".join(problems))
    fields = [field for field in dataclasses.fields(cls) if field.name in raw]  # type: ignore[arg-type]
    wrong = [
        f"{field.name} is {raw[field.name]!r}, such as {field.default!r} is needed"
        for field in fields
        if not _fits(raw[field.name], field)
    ]
    if wrong:
        raise UserError(f"{what}: its config.json is damaged: " + "; ".join(wrong))
    return cls(**{field.name: _tuple(raw[field.name]) for field in fields})


def require_divisor(divisor: int, widths: Iterable[int], what: str) -> None:
    """Groups and heads share a width equally. Raises UserError for a width that cannot be shared."""
    bad = [str(width) for width in widths if width % divisor]
    if bad:
        raise UserError(f"{what} is {divisor}, which does not divide {', '.join(bad)} channels")


def per_block(value: int | tuple[int, ...], blocks: int, what: str) -> tuple[int, ...]:
    """A setting given once for all blocks, or once a block."""
    values = (value,) * blocks if isinstance(value, int) else tuple(value)
    if len(values) != blocks:
        raise UserError(f"{what}: {len(values)} values for {blocks} blocks")
    return values


def _fits(value: Any, field: dataclasses.Field[Any]) -> bool:
    """Whether a JSON value is of the kind of the field's default; sizes and scales are above 0."""
    if isinstance(value, list):
        sample = field.default[0] if isinstance(field.default, tuple) else field.default
        return "tuple" in str(field.type) and value != [] and all(_is_like(item, sample, 1) for item in value)
    return _is_like(value, field.default, 0 if field.name in MAY_BE_ZERO else 1)


def _is_like(value: Any, sample: Any, least: int) -> bool:
    if isinstance(sample, float):
        return type(value) in (int, float) and math.isfinite(value) and value > 0
    return type(value) is type(sample) and (type(value) is not int or value >= least)


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
