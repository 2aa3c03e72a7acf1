"""One place for equal trainings."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

from jdart.config import Config, GenerateConfig, IPAdapterConfig, said
from jdart.runs.same_run import what_matters


def shared_training(config: Config, folder: Path) -> Config:
    """A training in a place below `folder` that is named after what it depends on, so that equal ones share it."""
    settings = json.dumps(what_matters(said(config)), sort_keys=True)
    key = hashlib.sha256(settings.encode()).hexdigest()[:8]
    return replace(config, name=f"training {key}", output=str(folder / "trained" / key))


def drawing_of_training(plain: GenerateConfig, config: Config) -> GenerateConfig:
    """How a training draws, that knows of what only drawing needs no more than the plain run.

    It knows the encoder of an IP-Adapter that it learns, whatever looks through it.
    """
    own, images = config.generate.ip_adapter, plain.ip_adapter
    if own is not None and own.learnt:
        images = IPAdapterConfig(encoder=own.encoder, image_encoder=own.image_encoder)
    return replace(plain, lora_weight=1.0, ip_adapter=images)
