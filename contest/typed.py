"""Dataclasses <-> JSON: read values back strictly, and say in JSON Schema what is written.

Understood are dataclasses, str, int, float, bool, Optional, list, dict with text keys, and Any. Dataclasses
must spell `Optional[X]`, which Python 3.9 can evaluate.
"""

from __future__ import annotations

import math
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

_T = TypeVar("_T")
_LARGEST = 1 << 63
_NAMES = {str: "string", int: "integer", float: "number", bool: "boolean"}


def from_json(kind: type[_T], data: Any, where: str) -> _T:
    """The value of type `kind` that `data` (parsed JSON) spells; fields it does not know are passed over.

    Raises ValueError that names the field below `where`: missing, of another type, or not finite.
    """
    return _read(kind, data, where)


def to_schema(kind: type, title: str, **constants: Any) -> dict[str, Any]:
    """A JSON Schema (draft 2020-12) of `kind` with `constants` as further required fields of the object."""
    schema = _describe(kind)
    schema["properties"] = {key: {"const": value} for key, value in constants.items()} | schema["properties"]
    schema["required"] = [*constants, *schema["required"]]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **schema}


def _read(kind: Any, data: Any, where: str) -> Any:
    origin, args = get_origin(kind), get_args(kind)
    if kind is Any:
        return data
    if origin is Union:
        return None if data is None else _read(args[0], data, where)
    if is_dataclass(kind):
        _expect(data, dict, "an object", where)
        hints = get_type_hints(kind)
        given = {item.name: item for item in fields(kind) if item.name in data}
        missing = [item.name for item in fields(kind) if item.name not in data and _is_required(item)]
        if missing:
            raise ValueError(f"{where}.{missing[0]} is missing")
        return kind(**{name: _read(hints[name], data[name], f"{where}.{name}") for name in given})  # type: ignore[operator]
    if origin is dict:
        _expect(data, dict, "an object", where)
        return {key: _read(args[1], value, f"{where}.{key}") for key, value in data.items()}
    if origin is list:
        _expect(data, list, "a list", where)
        return [_read(args[0], value, f"{where}[{place}]") for place, value in enumerate(data)]
    return _scalar(kind, data, where)


def _scalar(kind: Any, data: Any, where: str) -> Any:
    wanted = (int, float) if kind is float else kind
    if not isinstance(data, wanted) or (isinstance(data, bool) and kind is not bool):
        raise ValueError(f"{where} must be of type {_NAMES[kind]}, not {data!r:.60}")
    if isinstance(data, float) and not math.isfinite(data):
        raise ValueError(f"{where} is not a finite number")
    if isinstance(data, int) and abs(data) >= _LARGEST:  # no float and no array would hold it
        raise ValueError(f"{where} is too large a number")
    return data


def _expect(data: Any, kind: type, what: str, where: str) -> None:
    if not isinstance(data, kind):
        raise ValueError(f"{where} must be {what}")


def _is_required(item: Field[Any]) -> bool:
    return item.default is MISSING and item.default_factory is MISSING


def _describe(kind: Any) -> dict[str, Any]:
    origin, args = get_origin(kind), get_args(kind)
    if kind is Any:
        return {}
    if origin is Union:
        return {"anyOf": [_describe(args[0]), {"type": "null"}]}
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return {
            "type": "object",
            "description": str(kind.__doc__).strip().split("\n\n")[0].replace("\n    ", " "),
            "properties": {item.name: _describe(hints[item.name]) for item in fields(kind)},
            "required": [item.name for item in fields(kind) if _is_required(item)],
        }
    if origin is dict:
        return {"type": "object", "additionalProperties": _describe(args[1])}
    if origin is list:
        return {"type": "array", "items": _describe(args[0])}
    return {"type": _NAMES[kind]}
