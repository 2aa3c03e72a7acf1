"""Train DreamBooth LoRA on Stable Diffusion and draw a contest's pictures, natively on Jittor; imports all four others.

`contest` serves everywhere; `submission`, `evaluator` and `leaderboard` are asked by `jdart.running` alone.

    from jdart import generate, load_config, train
    config = load_config("demo", ["train.steps=100"], output="outputs/mine")
    train(config)
    generate(config)

The names below are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from contest.lazy import lazy

if TYPE_CHECKING:
    from contest.errors import UserError
    from jdart.api import Drawn, Trained, generate, train
    from jdart.config import Config, load_config

__all__ = ["Config", "Drawn", "Trained", "UserError", "generate", "load_config", "train"]

__getattr__ = lazy(
    __name__,
    {
        "Config": "jdart.config",
        "Drawn": "jdart.api",
        "Trained": "jdart.api",
        "UserError": "contest.errors",
        "generate": "jdart.api",
        "load_config": "jdart.config",
        "train": "jdart.api",
    },
)
