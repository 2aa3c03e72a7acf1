"""Train DreamBooth LoRA on Stable Diffusion and draw a contest's pictures, natively on Jittor; imports all four others.

`contest` serves everywhere; `submission`, `evaluator` and `leaderboard` are asked by `jdart.running` alone.

    from jdart import generate, load_config, train
    config = load_config("demo", ["train.steps=100"], output="outputs/mine")
    train(config)
    generate(config)

The names below are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contest.errors import UserError
    from jdart.api import Drawn, Trained, generate, train
    from jdart.config import Config, load_config

__all__ = ["Config", "Drawn", "Trained", "UserError", "generate", "load_config", "train"]

_HOME = {
    "Config": "jdart.config",
    "Drawn": "jdart.api",
    "Trained": "jdart.api",
    "UserError": "contest.errors",
    "generate": "jdart.api",
    "load_config": "jdart.config",
    "train": "jdart.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)
