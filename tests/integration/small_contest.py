"""A contest of two styles that is learnt in seconds, and the command line in this process."""

import json
from pathlib import Path

import numpy as np
import yaml
from click.testing import CliRunner
from PIL import Image

from jdart.cli import main

PROMPTS = {"00": ["Moon", "Ice cream"], "01": ["Dog", "Sun"]}


def write_contest(folder: Path) -> Path:
    """A references folder: three pictures and two prompts a style."""
    for style, prompts in PROMPTS.items():
        (folder / style / "images").mkdir(parents=True)
        for number, name in enumerate(("star", "wheat_field", "cow")):
            rng = np.random.default_rng([int(style), number])
            small = Image.fromarray(rng.integers(0, 255, (5, 5, 3)).astype(np.uint8))
            small.resize((64, 64), Image.Resampling.BICUBIC).save(folder / style / "images" / f"{name}.png")
        (folder / style / "prompt.json").write_text(json.dumps(dict(enumerate(prompts))))
    return folder


def write_config(folder: Path, models: Path, contest: Path, changes: dict) -> Path:
    """config.yaml in a folder, for a run beside it: out/."""
    raw = {
        "name": "small",
        "references": str(contest),
        "output": str(folder / "out"),
        "base": {"model": str(models / "base")},
        "data": {"size": 32},
        "lora": {"r": 2},
        "train": {"steps": 3, "batch_size": 2, "learning_rate": 0.005},
        "generate": {"sampler": "ddim", "steps": 3, "strength": 0.7, "guidance_scale": 2.0, "batch_size": 2},
        "score": {"weights": str(models / "weights")},
    }
    for section, value in changes.items():
        raw[section] = {**raw[section], **value} if isinstance(raw.get(section), dict) else value
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path


def call(*arguments):
    """Run the command line in this process; returns click's result, whose output holds no traceback."""
    wide = {"COLUMNS": "200"}  # pytest's folders have long names: no line of a table breaks within one
    result = CliRunner(env=wide).invoke(main, [str(argument) for argument in arguments])
    assert "Traceback" not in result.output
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result
