"""The toy contest: references in three styles, and held-out renders of the prompts to check the evaluator with."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from contest.disk.files import atomic_write
from submission import load_contest
from toylab.nouns import TAUGHT
from toylab.styles import STYLES
from toylab.world import cut_out, reduced, somewhere


def write(references: Path, held_out: Path, seed: int) -> None:
    """`<style>/images/<noun>.png` and `prompt.json`; `<style>/<Prompt>.png`. The same pixels for the same seed.

    A style's references show taught nouns that none of its prompts names.
    """
    contest = load_contest("toy")
    for style, prompts in contest.styles.items():
        rest = [noun for noun in TAUGHT if noun not in prompts]
        order = np.random.default_rng([seed, int(style)]).permutation(len(rest))[: contest.references]
        for noun in sorted(rest[place] for place in order):
            name = f"{noun.lower().replace(' ', '_')}.png"
            _save(references / style / "images" / name, picture(style, noun, [seed, 0]))
        for noun in prompts:
            _save(held_out / style / f"{noun}.png", picture(style, noun, [seed, 1]))
        with atomic_write(references / style / "prompt.json", "w") as out:
            json.dump({str(place): noun for place, noun in enumerate(prompts)}, out, indent=4)


def picture(style: str, noun: str, seed: list[int]) -> Image.Image:
    """`noun` in `style`: RGB, 64 x 64 pixels."""
    rng = np.random.default_rng([*seed, int(style), zlib.crc32(noun.encode())])
    return reduced(STYLES[style](cut_out(noun, somewhere(rng)), rng))


def _save(path: Path, shown: Image.Image) -> None:
    with atomic_write(path) as out:
        shown.save(out, format="PNG", optimize=True)
