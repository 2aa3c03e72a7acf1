"""A contest of two styles that is learnt in seconds, and the command line in this process."""

import json
from pathlib import Path

import numpy as np
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


def call(*arguments):
    """Run the command line in this process; returns click's result, whose output holds no traceback."""
    wide = {"COLUMNS": "200"}  # pytest's folders have long names: no line of a table breaks within one
    result = CliRunner(env=wide).invoke(main, [str(argument) for argument in arguments])
    assert "Traceback" not in result.output
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result
