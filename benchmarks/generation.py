"""Seconds of a drawn picture: jdart against diffusers' pipeline on PyTorch, and what a style's calls share.

    python benchmarks/generation.py --case small --json out.json

Both draw from the same weights by DDIM, 20 steps under guidance, in turns; README.md beside this file describes the
cases.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from turns import Program, on_new_base, run_cases
from workload import paint

from contest.cores import cores

SEED = 11
GUIDANCE = 7.5
STRENGTH = 0.9
OURS, THEIRS = "jdart", "diffusers"
SHARED, ANEW = f"{OURS}, average picture", f"{OURS}, average picture, encoding for every batch"
RATIOS = {"time against diffusers": (OURS, THEIRS, 1.0, False), "gain by encoding once": (ANEW, SHARED, 1.0, True)}


@dataclass(frozen=True)
class Case:
    """A base model's preset, the side of a picture in pixels, pictures drawn together, and sampling steps."""

    preset: str
    size: int
    batch: int
    steps: int = 20


CASES = {
    "tiny": Case("tiny", 64, 1),
    "small": Case("small", 256, 1),
    "batch-4": Case("small", 256, 4),
}


def prompt(number: int) -> str:
    return f"an image of thing {number} in style_00"


def ours(folder: Path, case: Case, average: bool, once: bool, device: str = "cpu") -> Iterator[None]:
    """A batch of jdart's for every item, all in one call or, with `once` false, each in a call of its own."""
    from jdart.runtime import start

    start(device)
    from jdart.config import GenerateConfig
    from jdart.generation.draw import Request, draw
    from jdart.models.build import Base

    base = Base(folder)
    strength = STRENGTH if average else None
    settings = GenerateConfig(
        sampler="ddim", steps=case.steps, guidance_scale=GUIDANCE, strength=strength, batch_size=case.batch
    )
    picture = np.asarray(paint(np.random.default_rng(SEED), case.size)) if average else None
    requests = [Request(str(number), prompt(number), number) for number in range(1000 * case.batch)]
    per_call = len(requests) if once else case.batch
    for first in range(0, len(requests), per_call):
        pictures = draw(base, requests[first : first + per_call], settings, case.size, picture)
        for drawn, _ in enumerate(pictures, start=1):
            if drawn % case.batch == 0:
                yield


def theirs(folder: Path, case: Case, device: str = "cpu") -> Iterator[None]:
    """A batch of diffusers' pipeline for every item."""
    import torch
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    torch.set_num_threads(cores())
    pipe = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None, requires_safety_checker=False)
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config, clip_sample=False)
    pipe.to(device)
    pipe.set_progress_bar_config(disable=True)
    number = 0
    while True:
        pipe(
            [prompt(number + place) for place in range(case.batch)],
            num_inference_steps=case.steps,
            guidance_scale=GUIDANCE,
            height=case.size,
            width=case.size,
            generator=torch.Generator().manual_seed(number),
            output_type="np",
        )
        number += case.batch
        yield


def run(case: Case, turns: int) -> dict[str, Any]:
    """One case: four programs in turns."""

    def programs(folder: Path) -> dict[str, Program]:
        return {
            OURS: Program(ours, (folder, case, False, True)),
            THEIRS: Program(theirs, (folder, case)),
            SHARED: Program(ours, (folder, case, True, True)),
            ANEW: Program(ours, (folder, case, True, False)),
        }

    return on_new_base(case, SEED, programs, RATIOS, turns)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--case", "cases", type=click.Choice(list(CASES)), multiple=True, help="Which [default: all].")
@click.option("--turns", type=click.IntRange(min=1), default=5, show_default=True, help="Batches that are counted.")
@click.option("--quick", is_flag=True, help="For trials: a miniature at 32 px, two batches, targets not judged.")
@click.option("--json", "place", type=click.Path(dir_okay=False, path_type=Path), help="Write every figure there.")
def main(cases: tuple[str, ...], turns: int, quick: bool, place: Path | None) -> None:
    """Measure the cases and print them. Exit code 1: a target is missed; 2: misuse, or a program failed."""
    chosen = {"quick": Case("tiny", 32, 1, 3)} if quick else {name: CASES[name] for name in (cases or CASES)}

    def title(name: str, case: Case) -> str:
        return f"{name}: {case.batch} at {case.size} px, DDIM, {case.steps} steps"

    run_cases(chosen, lambda case: run(case, 2 if quick else turns), title, "batch", place, judged=not quick)


if __name__ == "__main__":
    main()
