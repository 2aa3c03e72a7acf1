"""Read a network's `config.json` into a dataclass, and refuse variants that would load but compute something else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from submission.errors import UserError

C = TypeVar("C")


def read_config(cls: type[C], raw: Mapping[str, Any], what: str, fixed: Mapping[str, Any]) -> C:
    """Make `cls` from the keys it knows. `fixed` names settings that have one supported value; another one is an error.

    Keys that are absent take the default of `cls`, as diffusers and transformers do. Every problem is reported at once.
    """
    problems = [
        f"{key} is {raw[key]!r}, supported is {value!r}" for key, value in fixed.items() if raw.get(key, value) != value
    ]
    if problems:
        raise UserError(f"{what}: this variant is not built here: " + "; ".join(problems))
    known = {field.name for field in fields(cls)}  # type: ignore[arg-type]
    try:
        return cls(**{key: _tuple(value) for key, value in raw.items() if key in known})
    except (TypeError, ValueError) as error:
        raise UserError(f"{what}: {error}") from error


def per_block(value: int | tuple[int, ...], blocks: int, what: str) -> tuple[int, ...]:
    """A setting given once for all blocks, or once a block."""
    values = (value,) * blocks if isinstance(value, int) else tuple(value)
    if len(values) != blocks:
        raise UserError(f"{what}: {len(values)} values for {blocks} blocks")
    return values


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
