"""Time and memory of the checker's schedule and of `jdart-eval score`, on the same pictures and weights.

    python benchmarks/scoring.py --case board --case style --json out.json

Programs run one after the other, each alone in a process of its own with as many threads as cores. README.md
beside this file describes the cases and how to read the table.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from floor import checkers, least, work
from PIL import Image
from rich.console import Console
from rich.table import Table
from workload import JDART_EVAL, Cost, Shape, draw_contest, measure, paint

from contest.console import FINDINGS
from contest.cores import cores, processor
from contest.disk.files import read_json, write_json
from contest.errors import UserError

HERE = Path(__file__).resolve().parent
SEED = 11


@dataclass(frozen=True)
class Case:
    """A shape, the weights' preset, and what must be reached at that shape."""

    shape: Shape
    preset: str
    targets: dict[str, float]


CASES = {
    "board": Case(Shape(15, 10, 25, 256), "tiny", {"ratio": 20}),
    "style": Case(Shape(1, 10, 25, 512), "full", {"ratio": 8, "over_floor": 1.2, "peak_gb": 2}),
    "warm": Case(Shape(15, 10, 25, 512), "full", {"changed": 0.05}),
}


@dataclass(frozen=True)
class Bench:
    """Where one case's files lie and what belongs to every run of it."""

    folder: Path
    weights: Path
    references: Path
    outputs: Path
    profile: str

    def checker(self) -> tuple[Cost, dict[str, Any]]:
        """The re-enactment, and its figures."""
        place = self.folder / "checker.json"
        command = [sys.executable, HERE / "checker.py", self.weights, self.references, self.outputs, "--json", place]
        return measure(command, self.folder / "checker.log", {}), read_json(place)

    def ours(self, name: str, *options: str) -> tuple[Cost, dict[str, Any]]:
        """`jdart-eval score` with a cache folder of this case's own, and its report."""
        report = self.folder / f"report-{name}"
        command = [*JDART_EVAL, "score", self.outputs, "--references", self.references, "--weights", self.weights]
        command += ["--profile", self.profile, "--out", report, *options]
        cost = measure(command, self.folder / f"{name}.log", {"JDART_CACHE": str(self.folder / "cache")})
        return cost, read_json(report / "report.json")

    def floor(self, size: int) -> dict[str, Any]:
        """Operations per forward, and the rate of a plain product of matrices; see floor.py."""
        place = self.folder / "floor.json"
        command = [sys.executable, HERE / "floor.py", self.weights, "--size", str(size), "--json", place]
        measure(command, self.folder / "floor.log", {})
        return read_json(place)


def compare(bench: Bench, shape: Shape) -> dict[str, Any]:
    """The checker's schedule against a cold run of ours."""
    theirs, figures = bench.checker()
    ours, report = bench.ours("cold", *_no_cache())
    floor = bench.floor(shape.size)
    library, rate = max(floor["matmul"].items(), key=lambda found: found[1])
    lowest = work(floor["forwards"], least(shape))
    programs = {}
    for name, cost, operations, seconds in (
        ("checker", theirs, work(floor["forwards"], checkers(shape)), figures["seconds"]),
        ("jdart-eval", ours, lowest, report["provenance"]["seconds"]),
    ):
        programs[name] = {
            **cost.to_json(),
            "tflop": operations / 1e12,
            "gflop_per_second": operations / cost.seconds / 1e9,
            "parts": seconds,
        }
    return {
        "programs": programs,
        "ratio": theirs.seconds / ours.seconds,
        "over_floor": ours.seconds * rate / lowest,
        "peak_gb": ours.peak / 1e9,
        "floor": {
            "tflop": lowest / 1e12,
            "matmul_gflop_per_second": {name: found / 1e9 for name, found in floor["matmul"].items()},
            "library": library,
            "seconds": lowest / rate,
            "gflop_per_forward": {name: value / 1e9 for name, value in floor["forwards"].items()},
        },
        "scores": {key: [value, report["scores"][key]] for key, value in figures["scores"].items()},
        "versions": figures["versions"],
    }


def rescore(bench: Bench) -> dict[str, Any]:
    """Ours cold, again with everything remembered, and again with one picture of all redrawn."""
    cold, _ = bench.ours("cold")
    warm, _ = bench.ours("warm")
    picture = min(bench.outputs.rglob("*.png"))
    with Image.open(picture) as image:
        side = image.width
    paint(np.random.default_rng([SEED, 1 << 20]), side).save(picture)
    changed, _ = bench.ours("changed")
    costs = {"cold": cold, "warm": warm, "changed": changed}
    return {
        "programs": {name: cost.to_json() for name, cost in costs.items()},
        "warm": warm.seconds / cold.seconds,
        "changed": changed.seconds / cold.seconds,
    }


def missed(targets: dict[str, float], result: dict[str, Any]) -> list[str]:
    """The targets that are not met: a ratio has to be reached, the others are limits."""
    return [key for key, limit in targets.items() if (result[key] < limit if key == "ratio" else result[key] >= limit)]


def _no_cache() -> Sequence[str]:
    """The option for a run without cache, where this version of jdart-eval has a cache."""
    text = subprocess.run([*JDART_EVAL, "score", "--help"], capture_output=True, text=True, check=True).stdout
    return ("--no-cache",) if "--no-cache" in text else ()


def _new_weights(folder: Path, preset: str) -> Path:
    command = [*JDART_EVAL, "weights", "new", folder, "--preset", preset, "--seed", str(SEED)]
    measure(command, folder.parent / f"{folder.name}.log", {})
    return folder


def run(name: str, changes: dict[str, int], weights: Path | None, profile: str, scratch: Path | None) -> dict[str, Any]:
    """One case, with `changes` to its shape; targets hold only for the case as it is."""
    case = CASES[name]
    shape = replace(case.shape, **changes)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir=scratch) as temporary:
        folder = Path(temporary)
        pack = _new_weights(folder / "weights", case.preset) if weights is None else weights.resolve()
        bench = Bench(folder, pack, *draw_contest(folder, shape, SEED), profile)
        result = rescore(bench) if name == "warm" else compare(bench, shape)
    targets = case.targets if shape == case.shape and weights is None else {}
    machine = {"cores": cores(), "processor": processor(), "load_before": load}
    extent = {"shape": asdict(shape), **machine, "targets": targets}
    return {**extent, "missed": missed(targets, result), **result}


def show(name: str, result: dict[str, Any]) -> None:
    """Costs, and for a comparison also the work, the seconds of the parts and both programs' scores."""
    console = Console()
    title = "{styles} styles x ({references} references + {outputs} outputs) at {size} px".format(**result["shape"])
    title = (
        f"{name}: {title}, {result['cores']} cores of {result['processor']}, load before {result['load_before']:.1f}"
    )
    if "floor" in result:
        console.print(_comparison(title, result), _parts(result["programs"]), _scores(result["scores"]))
    else:
        console.print(_runs(title, result["programs"]))
    for key, limit in result["targets"].items():
        verdict = "[red]missed[/red]" if key in result["missed"] else "[green]met[/green]"
        console.print(f"target for {key} ({limit:g}): {result[key]:.3g}, {verdict}", highlight=False)


def _comparison(title: str, result: dict[str, Any]) -> Table:
    table = _table(title, "seconds", "CPU s", "peak GB", "TFLOP", "GFLOP/s")
    for program, cost in result["programs"].items():
        table.add_row(program, *_cost(cost), f"{cost['tflop']:.3g}", f"{cost['gflop_per_second']:.0f}")
    table.add_section()
    theirs, ours = result["programs"].values()
    ratios = (theirs[key] / ours[key] for key in ("seconds", "cpu_seconds", "peak_gb", "tflop"))
    table.add_row("ratio", *(f"{ratio:.1f}" for ratio in ratios), style="bold")
    floor = result["floor"]
    for library, rate in floor["matmul_gflop_per_second"].items():
        seconds = 1000 * floor["tflop"] / rate
        table.add_row(
            f"least work at {library}'s rate", f"{seconds:.1f}", "", "", f"{floor['tflop']:.3g}", f"{rate:.0f}"
        )
    return table


def _runs(title: str, programs: dict[str, Any]) -> Table:
    table = _table(title, "seconds", "CPU s", "peak GB", "share of cold")
    for run, cost in programs.items():
        share = cost["seconds"] / programs["cold"]["seconds"]
        table.add_row(run, *_cost(cost), f"{share:.1%}")
    return table


def _cost(cost: dict[str, float]) -> tuple[str, str, str]:
    return f"{cost['seconds']:.1f}", f"{cost['cpu_seconds']:.1f}", f"{cost['peak_gb']:.2f}"


def _parts(programs: dict[str, Any]) -> Table:
    table = _table("seconds of the parts, as each program counts them", "seconds")
    for program, cost in programs.items():
        for part, seconds in cost["parts"].items():
            table.add_row(f"{program}: {part}", f"{seconds:.1f}")
    return table


def _scores(scores: dict[str, Any]) -> Table:
    table = _table(
        "the figures, equal as far as the profile is that of the installed libraries", "checker", "jdart-eval"
    )
    for key, values in scores.items():
        table.add_row(key, *(f"{value:.6f}" for value in values))
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table("", title=title, title_justify="left")
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--case", "cases", type=click.Choice(list(CASES)), multiple=True, help="Which [default: all].")
@click.option("--styles", type=click.IntRange(min=1, max=99), help="For trials: fewer styles,")
@click.option("--references", type=click.IntRange(min=1), help="references of each,")
@click.option("--outputs", type=click.IntRange(min=1, max=215), help="outputs of each,")
@click.option("--size", type=click.IntRange(min=64), help="smaller pictures,")
@click.option("--weights", type=click.Path(exists=True, file_okay=False, path_type=Path), help="or other weights.")
@click.option("--profile", default="official-2024", show_default=True, help="Of jdart-eval.")
@click.option("--scratch", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Where 4 GB fit.")
@click.option("--json", "place", type=click.Path(dir_okay=False, path_type=Path), help="Write every figure there.")
def main(
    cases: tuple[str, ...],
    weights: Path | None,
    profile: str,
    scratch: Path | None,
    place: Path | None,
    **shape: int | None,
) -> None:
    """Measure the cases and print them. Exit code 1: a target is missed; 2: misuse, or a program failed."""
    changes = {key: value for key, value in shape.items() if value is not None}
    results: dict[str, Any] = {}
    for name in cases if cases else CASES:
        try:
            results[name] = run(name, changes, weights, profile, scratch)
        except UserError as error:
            raise click.UsageError(str(error)) from error
        show(name, results[name])
    if place is not None:
        write_json(place, results)
    if any(result["missed"] for result in results.values()):
        raise SystemExit(FINDINGS)


if __name__ == "__main__":
    main()
