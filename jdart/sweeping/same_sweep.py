"""With what a study may go on: what its figures were made with, so that all of them can stand beside each other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from contest.errors import UserError
from jdart.config import Config, said, to_mapping
from jdart.runs.same_run import what_matters
from jdart.sweeping.sweep import Plan


def facts_of(plan: Plan, styles: Mapping[str, Sequence[str]], files: Mapping[str, str]) -> dict[str, Any]:
    """All that the figures of a sweep depend on, as JSON. `styles` have their prompts, `files` are hashes."""
    prompts = json.dumps({style: list(prompts) for style, prompts in styles.items()})
    return {
        "settings": what_matters(said(plan.plain)),
        "score.profile": plan.plain.score.profile,
        "styles": list(styles),
        "seed": plan.sweep.seed,
        "prune": None if plan.sweep.prune is None else asdict(plan.sweep.prune),
        "space": {key: asdict(parameter) for key, parameter in plan.sweep.space.items()},
        "files": {"the prompts": hashlib.sha256(prompts.encode()).hexdigest(), **files},
    }


def require_same(plan: Plan, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise UserError that says what is not as it was, if anything."""
    now = json.loads(json.dumps(now))
    changed = [name for name, digest in now["files"].items() if before["files"].get(name) != digest]
    changed += _changes(_settings(before), _settings(now))
    if changed:
        raise UserError(
            f"{plan.folder} was made with other settings ({'; '.join(changed)}); nothing was touched: choose another "
            "folder with --output, or go back to them"
        )


def _settings(facts: Mapping[str, Any]) -> dict[str, Any]:
    default = json.loads(json.dumps(what_matters(to_mapping(Config()))))
    space = {f"space.{key}": value for key, value in facts["space"].items()}
    rest = {name: facts[name] for name in ("score.profile", "styles", "seed", "prune")}
    rest["the sweep's seed"] = rest.pop("seed")
    return {**default, **facts["settings"], **space, **rest}


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    keys = [key for key in sorted({*before, *now}) if before.get(key) != now.get(key)]
    return [f"{key}: {before.get(key)!r} -> {now.get(key)!r}" for key in keys]
