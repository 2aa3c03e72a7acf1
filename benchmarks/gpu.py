"""One GPU, under ten minutes: a UNet call, a LoRA step, a picture of 40 steps, a scoring; and what diffusers needs.

    python benchmarks/gpu.py --json gpu.json

SD 2.1's size at 512 px, random weights, float32. Programs run one after another, each alone on the card. What cannot be
run here is said with its reason, in the table and in the JSON; the exit code is 0 all the same.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import full_size
import generation
import training
from rich.console import Console
from rich.table import Table
from turns import Program, new_base, surroundings, take_turns
from workload import JDART_EVAL, Shape, draw_contest, measure

from contest.disk.files import write_json
from contest.errors import UserError

SEED, STEPS = 11, 40
DEVICE = "cuda"


@dataclass(frozen=True)
class Row:
    """A program, how many of its units count, and why it cannot run here; None: it can."""

    what: str
    name: str
    program: Program
    turns: int
    lacking: str | None


def no_jittor() -> str | None:
    from jdart.runtime import why_no_cuda

    return why_no_cuda()


def no_torch() -> str | None:
    import torch

    return None if torch.cuda.is_available() else f"PyTorch {torch.__version__} finds no GPU"


def used_memory() -> float | None:
    """GB of the card that are in use; None where nvidia-smi does not say."""
    if shutil.which("nvidia-smi") is None:
        return None
    command = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    first = said.stdout.split()[:1]
    return float(first[0]) * 2**20 / 1e9 if said.returncode == 0 and first else None


def rows(base: Path, quick: bool) -> list[Row]:
    """Every program: jdart's, then the rival's that does the same."""
    size = full_size.Size("tiny", 64, 32) if quick else full_size.Size()
    images = training.paint_pictures(base.parent, size.size)
    case = training.Case(size.preset, size.size, 4)
    picture = generation.Case(size.preset, size.size, 1, 2 if quick else STEPS)
    jittor, torch = no_jittor(), no_torch()
    step = (base, images, case, True, DEVICE)
    return [
        Row("UNet call, batch 2", "jdart", Program(full_size.ours, (base, size, DEVICE)), 10, jittor),
        Row("UNet call, batch 2", "diffusers", Program(full_size.eager, (base, size, DEVICE)), 10, torch),
        Row("LoRA step, rank 4", "jdart", Program(training.ours, step), 10, jittor),
        Row("LoRA step, rank 4", "diffusers + peft", Program(training.theirs, step), 10, torch),
        Row("picture", "jdart", Program(generation.ours, (base, picture, False, True, DEVICE)), 2, jittor),
        Row("picture", "diffusers", Program(generation.theirs, (base, picture, DEVICE)), 2, torch),
    ]


def measured(row: Row) -> dict[str, Any]:
    """Seconds of a unit, and GB of the card while the program held it; or why not."""
    if row.lacking is not None:
        return {"what": row.what, "program": row.name, "error": row.lacking}
    try:
        figures = take_turns({row.name: row.program}, row.turns, used_memory)[row.name]
    except UserError as error:
        return {"what": row.what, "program": row.name, "error": str(error)}
    return {"what": row.what, "program": row.name, **figures}


def scored(folder: Path, device: str, quick: bool) -> dict[str, Any]:
    """A style of 25 pictures through jdart-eval."""
    found: dict[str, Any] = {"what": "scoring, 10 + 25 pictures", "program": f"jdart-eval, {device}"}
    lacking = no_torch() if device == DEVICE else None
    if lacking is not None:
        return {**found, "error": lacking}
    weights, log = folder / "weights", folder / f"{device}.log"
    try:
        if not weights.exists():
            preset = "tiny" if quick else "full"
            measure([*JDART_EVAL, "weights", "new", weights, "--preset", preset, "--seed", str(SEED)], log, {})
            draw_contest(folder, Shape(1, 10, 25, 64 if quick else 512), SEED)
        command = [
            *JDART_EVAL,
            "score",
            folder / "outputs",
            "--references",
            folder / "references",
            "--weights",
            weights,
        ]
        cost = measure([*command, "--no-cache", "--device", device, "--out", folder / f"report-{device}"], log, {})
    except UserError as error:
        return {**found, "error": str(error)}
    return {**found, "first": cost.seconds, "best": cost.seconds, "peak_gb": cost.peak / 1e9}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--quick", is_flag=True, help="For trials: a miniature at 64 px.")
@click.option("--json", "place", type=click.Path(dir_okay=False, path_type=Path), help="Write every figure there.")
def main(quick: bool, place: Path | None) -> None:
    """Measure what can be, and say what cannot."""
    begun, around = time.perf_counter(), surroundings()
    found = []
    with tempfile.TemporaryDirectory(prefix="benchmark-") as temporary:
        base = Path(temporary) / "base"
        new_base(base, "tiny" if quick else "sd21", SEED)
        found += [measured(row) for row in rows(base, quick)]
        found += [scored(Path(temporary), device, quick) for device in (DEVICE, "cpu")]
    table = Table("", "", title=f"{around['processor']}, load before {around['load_before']:.1f}", title_justify="left")
    for column in ("first, s", "best, s", "GPU, GB"):
        table.add_column(column, justify="right")
    for each in found:
        figures = [each.get(key) for key in ("first", "best", "device_gb")]
        shown = [each["error"]] if "error" in each else ["" if n is None else f"{n:.3f}" for n in figures]
        table.add_row(each["what"], each["program"], *shown)
    Console().print(table)
    if place is not None:
        write_json(place, {**around, "seconds": time.perf_counter() - begun, "rows": found})


if __name__ == "__main__":
    main()
