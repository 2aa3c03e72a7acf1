"""With which settings a run folder may go on: those that made what is in it, or more steps of training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contest.errors import UserError
from jdart.config import Config, to_mapping
from jdart.runs.folder import RunFolder
from jdart.runs.trained import furthest
from jdart.training.lr import OPEN_ENDED

# Settings that change nothing in a picture: a run may go on with other values of these.
FREE = (
    "name",
    "output",
    "styles",
    "contest",
    "references",
    "base.model",
    "base.revision",
    "base.vae",  # these three: run.json has the hash of the weights
    "engine.python",
    "generate.batch_size",
    "memory.attention_slice",
    "memory.gradient_checkpointing",
    "train.also",
    "train.checkpointing_steps",
    "train.tensorboard",
    "validation.images",
    "validation.prompts",
    "score",
    "story",  # each picture says which part of it it is
    "search",  # search/search.json says with what it may go on
)


def require_same(
    folder: RunFolder, run: Mapping[str, Any], config: Config, identity: str, started_from: Mapping[str, str]
) -> None:
    """Refuse to go on with settings, or a base, that made other pictures than those already in the folder.

    `started_from` is the hash of the file that each style's LoRA starts from. More steps of training are no other
    settings where the steps before do not depend on their number.
    """
    before = {**what_matters(to_mapping(Config())), **what_matters(run["config"])}
    now = what_matters(to_mapping(config))
    keys = [key for key in sorted({*before, *now}) if before.get(key) != now.get(key)]
    changed = [f"{key}: {before.get(key)!r} -> {now.get(key)!r}" for key in keys]
    if run["base"].get("sha256") != identity:
        changed.append("the base model's weights")
    noted = run.get("init_from", {})
    changed += [
        f"the file that style {style} starts from"
        for style, digest in started_from.items()
        if style in noted and noted[style] != digest
    ]
    if changed == [f"train.steps: {before['train.steps']!r} -> {now['train.steps']!r}"]:
        _require_exact(folder, config)
    elif changed:
        raise UserError(
            f"{folder.root} was made with other settings ({'; '.join(changed)}); "
            "nothing was touched: choose another folder with --output, or go back to the settings"
        )


def _require_exact(folder: RunFolder, config: Config) -> None:
    """UserError unless what is trained already is the beginning of a training of so many steps."""
    steps, schedule = config.train.steps, config.train.lr_scheduler
    if config.engine is not None:
        raise UserError(
            f"{folder.root} was made with another train.steps, and {config.engine.name} cannot train a LoRA further; "
            "nothing was touched: choose another folder with --output, or go back to the settings"
        )
    if schedule not in OPEN_ENDED:
        raise UserError(
            f"{folder.root} was made with another train.steps, on which every step of lr_scheduler {schedule} depends; "
            f"nothing was touched: train further in another folder, with --output and lora.init_from={folder.root}"
        )
    name, most = furthest(folder)
    if most > steps:
        raise UserError(
            f"{folder.root}: {name} is trained for {most} steps already, more than train.steps: {steps}; "
            "nothing was touched: take at least as many, or choose another folder with --output"
        )


def what_matters(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings by which a run is what it is, by their dotted names; of a story none of single prompts."""
    told = settings.get("story") is not None
    return {
        key: value
        for key, value in _flat(settings).items()
        if not any(key == free or key.startswith(free + ".") for free in FREE)
        and not (told and key.startswith("overrides.") and ".prompts." in key)
    }


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat
