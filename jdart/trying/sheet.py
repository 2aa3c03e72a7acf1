"""A method at a glance: a row the plain run and each strength, a column a prompt, a few of every style."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from jdart.data.captions import Picture
from jdart.generation.sheets import grid
from jdart.runs.folder import RunFolder, contest_of
from jdart.trying.trials import Trial

if TYPE_CHECKING:
    from PIL import Image

PROMPTS = 3  # of each style


def method_sheet(trials: Mapping[str, Trial], references: Mapping[str, Sequence[Picture]]) -> Image.Image:
    """The pictures of `trials` (name -> run), below references of their styles. UserError: a file cannot be read."""
    first = next(iter(trials.values()))
    columns = [
        (style, prompt, references[style][place % len(references[style])].path)
        for style, prompts in contest_of(first.config).styles.items()
        for place, prompt in enumerate(spread(prompts, PROMPTS))
    ]
    rows = {"references": [reference for _, _, reference in columns]}
    for name, trial in trials.items():
        folder = RunFolder(trial.folder)
        rows[name] = [folder.image(style, prompt) for style, prompt, _ in columns]
    return grid([f"{style} {prompt}" for style, prompt, _ in columns], rows)


def spread(values: Sequence[str], count: int) -> list[str]:
    """So many of `values`, evenly spread from the first on; all where there are no more."""
    count = min(count, len(values))
    return [values[number * len(values) // count] for number in range(count)]
