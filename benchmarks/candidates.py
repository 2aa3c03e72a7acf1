"""Eight candidates a prompt, chosen among drafts, against one: seconds of drawing, without those of the evaluator.

    python benchmarks/candidates.py --json candidates.json          # both cases, about an hour
    python benchmarks/candidates.py --case full --turns 1           # 26 minutes, 12 GB of memory

Every prompt has one picture as the configuration says, seven drafts, and the best draft's picture. The two programs
draw in turns from the same random weights; README.md beside this file says how they are measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from turns import Program, on_new_base, run_cases

SEED, GUIDANCE = 11, 7.5
ONE, EIGHT = "one candidate", "eight, by drafts"
RATIOS = {"time against one candidate": (EIGHT, ONE, 3.5, False)}


@dataclass(frozen=True)
class Case:
    """A base model's preset, the side of a picture in pixels, prompts, and how drafts are drawn."""

    preset: str
    size: int
    prompts: int
    steps: int = 20
    draft_steps: int = 10
    interval: int = 5


# "full": the UNet of SD 2.1 at a quarter of its pictures' area, where a call weighs against decoding as it does in use
CASES = {"small": Case("small", 256, 2), "full": Case("sd21", 256, 1)}


def drawn(folder: Path, case: Case, pictures: int, drafts: int) -> Iterator[None]:
    """So many pictures and drafts of every prompt for every item."""
    from jdart.runtime import start

    start("cpu")
    from jdart.config import DraftConfig, GenerateConfig
    from jdart.generation.draw import Request, draw
    from jdart.models.build import Base

    base, draft = Base(folder), DraftConfig(case.draft_steps, case.interval)
    settings = GenerateConfig(sampler="ddim", steps=case.steps, guidance_scale=GUIDANCE, batch_size=case.prompts)

    def ask(each: int) -> list[Request]:
        return [Request(f"{n}/{p}", f"thing {p}", 100 * n + p) for n in range(each) for p in range(case.prompts)]

    while True:
        for _ in draw(base, ask(drafts), draft.cheaper(settings), case.size, None, interval=draft.interval):
            pass
        for _ in draw(base, ask(pictures), settings, case.size, None):
            pass
        yield


def run(case: Case, turns: int) -> dict[str, Any]:
    """One case: two programs in turns."""

    def programs(folder: Path) -> dict[str, Program]:
        return {
            ONE: Program(drawn, (folder, case, 1, 0)),
            EIGHT: Program(drawn, (folder, case, 2, 7)),
        }

    return on_new_base(case, SEED, programs, RATIOS, turns)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--case", "cases", type=click.Choice(list(CASES)), multiple=True, help="Which [default: all].")
@click.option("--turns", type=click.IntRange(min=1), default=3, show_default=True, help="Rounds that are counted.")
@click.option("--quick", is_flag=True, help="For trials: a miniature at 32 px, one round, targets not judged.")
@click.option("--json", "place", type=click.Path(dir_okay=False, path_type=Path), help="Write every figure there.")
def main(cases: tuple[str, ...], turns: int, quick: bool, place: Path | None) -> None:
    """Measure the cases and print them. Exit code 1: a target is missed; 2: misuse, or a program failed."""
    chosen = {"quick": Case("tiny", 32, 1, 6, 3, 2)} if quick else {name: CASES[name] for name in (cases or CASES)}

    def title(name: str, case: Case) -> str:
        return (
            f"{name}: {case.prompts} prompts at {case.size} px, DDIM, {case.steps} steps, drafts of {case.draft_steps}"
        )

    run_cases(chosen, lambda case: run(case, 1 if quick else turns), title, "round", place, judged=not quick)


if __name__ == "__main__":
    main()
