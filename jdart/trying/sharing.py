"""One place for equal trainings."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

from jdart.config import Config, said
from jdart.runs.same_run import what_matters


def shared_training(config: Config, folder: Path) -> Config:
    """A training in a place below `folder` that is named after what it depends on, so that equal ones share it."""
    settings = json.dumps(what_matters(said(config)), sort_keys=True)
    key = hashlib.sha256(settings.encode()).hexdigest()[:8]
    return replace(config, name=f"training {key}", output=str(folder / "trained" / key))
