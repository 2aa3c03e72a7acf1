"""The log: one JSON object a line, each with the hash of the line before, so that no line can be changed or left out.

`hash` is the SHA-256 of the object without it, as JSON with sorted keys, no spaces, and letters as they are (UTF-8).
The first line's `previous` is 64 zeros. Anybody can check that with a few lines of any language.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

START = "0" * 64


def make_line(seq: int, time: str, what: str, facts: Mapping[str, Any], previous: str) -> tuple[str, str]:
    """(line, its hash)."""
    body = {**facts, "seq": seq, "time": time, "what": what, "previous": previous}
    digest = _hash(body)
    return _json({**body, "hash": digest}), digest


def read_lines(lines: Iterable[str]) -> list[dict[str, Any]]:
    """The objects of the lines. ValueError: one is not a JSON object."""
    found = []
    for number, line in enumerate(lines, 1):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise ValueError(f"line {number} is not a JSON object")
        found.append(value)
    return found


def chain_problems(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """What breaks the chain, line by line; empty when it is whole."""
    problems, previous, earlier = [], START, ""
    for number, line in enumerate(lines, 1):
        body = {key: value for key, value in line.items() if key != "hash"}
        if line.get("seq") != number:
            problems.append(f"line {number} says it is number {line.get('seq')}")
        if line.get("previous") != previous:
            problems.append(f"line {number} does not follow the line before it")
        if line.get("hash") != _hash(body):
            problems.append(f"line {number} is not what its hash says")
        if str(line.get("time", "")) < earlier:
            problems.append(f"line {number} is earlier than the line before it")
        previous, earlier = str(line.get("hash")), str(line.get("time", ""))
    return problems


def _hash(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(_json(body).encode("utf-8", "surrogatepass")).hexdigest()


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
