"""What entries cost to score here, one after the other and spread over Ray's workers, and what 1,000 of them would.

    python -m benchmarks.spread                          # full-size networks with random numbers; 12 GB of memory
    python -m benchmarks.spread --weights toy --size 64  # a trial

Writes the tables of docs/scale.md. Time for a GPU is an assumption (`--gpu-rate`), not a measurement.
"""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import click

from benchmarks.reliability.page import put_table
from benchmarks.workload import Shape, draw_contest
from contest.cores import cores, processor

PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
EDITION = Shape(28, 10, 25, 512)  # of the projection; its entries are so many:
ENTRIES = 1000


@dataclass(frozen=True)
class Cost:
    """Seconds: until the first entry's networks and references are there, processor and wall for a picture, and an
    entry's report from kept notes; spread: wall for a picture and worker, with Ray's own start in it."""

    start: float
    cpu: float
    wall: float
    report: float
    spread: float
    workers: int


def measure(folder: Path, weights: Path, shape: Shape, entries: int, workers: int) -> Cost:
    """Score `entries` entries of a shape in this process, then from the cache, then by Ray."""
    from evaluator.inputs.refpack import open_references
    from evaluator.scoring.batch import score_batch
    from evaluator.scoring.scorer import Options, Scorer
    from evaluator.scoring.spread import Judge, score_on_ray

    references, first = draw_contest(folder / "0", shape, 0)
    paths = [first]
    for seed in range(1, entries):
        other = draw_contest(folder / str(seed), shape, seed)[1]
        for style in sorted(first.iterdir()):  # other pictures under the contest's names
            for drawn, named in zip(sorted((other / style.name).iterdir()), sorted(style.iterdir())):
                place = folder / f"entry{seed}" / style.name / named.name
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(drawn, place)
        paths.append(folder / f"entry{seed}")

    def scored(out: str) -> list[tuple[float, float]]:
        scorer = Scorer(open_references(references), weights, Options(cache=folder / "cache"))
        times, before = [], _now()
        for outcome in score_batch(paths, scorer, folder / out):
            assert outcome.report is not None, outcome.problems
            times.append(tuple(b - a for a, b in zip(before, _now())))
            before = _now()
        return times

    fresh, again = scored("alone"), scored("again")
    pictures = shape.styles * shape.outputs
    wall, cpu = (sum(one[key] for one in fresh[1:]) / (pictures * (entries - 1)) for key in (0, 1))
    start = fresh[0][0] - pictures * wall
    judge = Judge(references, weights, Options(cache=folder / "other"))
    begun = time.monotonic()
    for outcome in score_on_ray(paths, judge, folder / "spread", workers):
        assert outcome.report is not None, outcome.problems
    # styles of several entries are under way together, so that the moments of single entries say nothing
    spread = (time.monotonic() - begun - start) * workers / (pictures * entries)
    return Cost(start, cpu, wall, again[-1][0], spread, workers)


def _now() -> tuple[float, float]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return time.monotonic(), used.ru_utime + used.ru_stime


def tables(cost: Cost, shape: Shape, rate: float) -> tuple[str, str]:
    """What was measured, and what follows from it."""
    measured = [
        "| what | seconds |",
        "|---|---|",
        f"| networks and references of the first entry, once a process | {cost.start:.1f} |",
        f"| a picture, all cores: wall | {cost.wall:.3f} |",
        f"| a picture: processor | {cost.cpu:.3f} |",
        f"| an entry of {shape.styles} x {shape.outputs} from kept notes | {cost.report:.2f} |",
        f"| a picture and worker, of {cost.workers} workers with a share of the cores each: wall | {cost.spread:.3f} |",
        "",
        f"{shape.styles} styles x {shape.outputs} pictures of {shape.size} px, {processor()}, load before "
        f"{os.getloadavg()[2]:.1f}.",
    ]
    pictures = ENTRIES * EDITION.styles * EDITION.outputs
    more = cost.spread / cost.workers / cost.wall  # what spreading takes against one process, of the same busy machine
    own = cost.cpu * more  # core-seconds a picture; clocks alone would count the time of other people's processes
    rows = ["| on | time for 1,000 entries |", "|---|---|"]
    rows += [f"| {n} cores like these | {_told(pictures * own / n + cost.start)} |" for n in (2, 16, 64, 256)]
    rows += [
        f"| {n} GPU{'s' if n > 1 else ''}, **assumed**: {rate:g} pictures a second each | "
        f"{_told(pictures / rate / n + cost.start)} |"
        for n in (1, 8)
    ]
    return "\n".join(measured), "\n".join(rows)


def _told(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds < 172_800 else f"{seconds / 86_400:.1f} days"


@click.command()
@click.option("--weights", type=click.Path(path_type=Path), help="Instead of full-size ones with random numbers.")
@click.option("--entries", type=click.IntRange(2), default=3, show_default=True)
@click.option("--styles", type=click.IntRange(1), default=2, show_default=True)
@click.option("--outputs", type=click.IntRange(2), default=6, show_default=True, help="Pictures of a style.")
@click.option("--references", type=click.IntRange(1), default=3, show_default=True, help="Of a style.")
@click.option("--size", type=click.IntRange(32), default=512, show_default=True)
@click.option("--workers", type=click.IntRange(1), default=None, help="[default: cores]")
@click.option("--gpu-rate", default=60.0, show_default=True, help="Pictures a second on a GPU: assumed.")
@click.option("--page/--no-page", default=True, help="Write docs/scale.md.")
def main(
    weights: Path | None,
    entries: int,
    styles: int,
    outputs: int,
    references: int,
    size: int,
    workers: int | None,
    gpu_rate: float,
    page: bool,
) -> None:
    """Measure, and print both tables."""
    shape = Shape(styles, references, outputs, size)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        if weights is None:
            from evaluator.weights.miniature import write_miniature

            weights = Path(folder) / "weights"
            write_miniature(weights, 11, "full")
        cost = measure(Path(folder), weights, shape, entries, cores() if workers is None else workers)
    for name, table in zip(("Measured here", "Projected to 1,000 entries of 28 x 25"), tables(cost, shape, gpu_rate)):
        click.echo(f"{table}\n")
        if page:
            put_table(PAGE, name, table)


if __name__ == "__main__":
    main()
