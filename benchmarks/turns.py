"""Programs that do the same work again and again, measured in turns on one machine, and the table of what was found.

Each runs in a process of its own; while one works the others wait, so that a busy moment of the machine meets them all.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from workload import measure

from contest.console import FINDINGS
from contest.cores import cores, processor
from contest.disk.files import write_json
from contest.errors import UserError

LIBRARIES = ("jittor", "torch", "diffusers", "peft", "transformers")
WARM_UP = 2  # turns that are not counted


@dataclass(frozen=True)
class Program:
    """A generator that does one unit of work for every item it yields, and its arguments."""

    work: Callable[..., Iterator[None]]
    arguments: Sequence[Any]


def take_turns(
    programs: Mapping[str, Program], turns: int, device_memory: Callable[[], float | None] = lambda: None
) -> dict[str, dict[str, Any]]:
    """Seconds of the first unit (imports, loading and compilation included) and of `turns` warm ones, by program.

    With each its largest resident size in GB, and what `device_memory` says at the end, while all of them are there.
    """
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
    os.environ.update({name: str(cores()) for name in names}, HF_HUB_OFFLINE="1")
    context = multiprocessing.get_context("spawn")
    pipes, processes = {}, []
    for name, program in programs.items():
        pipes[name], theirs = context.Pipe()
        processes.append(context.Process(target=_serve, args=(theirs, program), daemon=True))
        processes[-1].start()
        theirs.close()
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    peaks: dict[str, float] = {}
    try:
        for _ in range(1 + WARM_UP + turns):
            for name, pipe in pipes.items():
                pipe.send("next")
                answer = pipe.recv()
                if isinstance(answer, str):
                    raise UserError(f"{name} failed, mend it and measure again: {answer}")
                took, peaks[name] = answer
                seconds[name].append(took)
        held = device_memory()
    except EOFError as error:
        raise UserError(f"{name} ended before its time; measure again with more memory") from error
    finally:
        for pipe in pipes.values():
            pipe.close()
        for process in processes:
            process.join()
    warm = {name: measured[1 + WARM_UP :] for name, measured in seconds.items()}
    return {
        name: {
            "first": seconds[name][0],
            "median": median(each),
            "best": min(each),
            "turns": each,
            "peak_gb": peaks[name],
            "device_gb": held,
        }
        for name, each in warm.items()
    }


def _serve(pipe: Connection, program: Program) -> None:
    """In the child: a unit of work for every word that comes in, its seconds or what went wrong back."""
    work = program.work(*program.arguments)
    while True:
        try:
            pipe.recv()
        except EOFError:  # nothing more is wanted
            return
        start = time.perf_counter()
        try:
            next(work)
        except Exception as error:
            pipe.send(f"{type(error).__name__}: {error}".splitlines()[0])
            return
        took, unit = time.perf_counter() - start, 1 if sys.platform == "darwin" else 1024
        pipe.send((took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9))


def new_base(folder: Path, preset: str, seed: int) -> None:
    """Write a base model with random weights. Jittor starts in a process of its own, not in the one that measures."""
    command = [
        sys.executable,
        "-c",
        "from jdart.cli import main; main()",
        "base",
        "new",
        folder,
        "--preset",
        preset,
        "--seed",
        str(seed),
    ]
    measure(command, folder.parent / f"{folder.name}.log", {})


def on_new_base(
    case: Any,
    seed: int,
    programs: Callable[[Path], Mapping[str, Program]],
    ratios: Mapping[str, tuple[str, str, float, bool]],
    turns: int,
) -> dict[str, Any]:
    """A case's programs in turns on a base of random weights, of the case's preset, with what `compared` says."""
    around = surroundings()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as temporary:
        folder = Path(temporary) / "base"
        new_base(folder, case.preset, seed)
        measured = take_turns(programs(folder), turns)
    return {**vars(case), **around, "programs": measured, **compared(measured, ratios)}


def surroundings() -> dict[str, Any]:
    """What the figures depend on besides the programs."""
    versions = {library: metadata.version(library) for library in LIBRARIES}
    return {
        "cores": cores(),  # and threads: take_turns gives both libraries as many
        "processor": processor(),
        "load_before": os.getloadavg()[0],
        "versions": versions,
    }


def compared(programs: Mapping[str, Any], ratios: Mapping[str, tuple[str, str, float, bool]]) -> dict[str, Any]:
    """Ratios `one / other` of the least disturbed turns, and those that miss their target.

    A ratio comes with the names of the two programs, its target, and whether that is to be reached or is a limit.
    """
    found = {name: programs[one]["best"] / programs[other]["best"] for name, (one, other, *_) in ratios.items()}
    targets = {name: limit for name, (_, _, limit, _) in ratios.items()}
    missed = [
        name for name, (_, _, limit, reach) in ratios.items() if (found[name] < limit if reach else found[name] > limit)
    ]
    return {"ratios": found, "targets": targets, "missed": missed}


def show(title: str, unit: str, result: Mapping[str, Any]) -> None:
    """A table of the programs, and a line for each ratio."""
    console = Console()
    heading = f"{title}; {result['processor']}, {result['cores']} threads, load before {result['load_before']:.1f}"
    table = Table("", title=heading, title_justify="left")
    for column in (f"first {unit}, s", "median, s", "best, s", "peak, GB"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, figures in result["programs"].items():
        table.add_row(
            name, *(f"{figures[key]:.3f}" for key in ("first", "median", "best")), f"{figures['peak_gb']:.2f}"
        )
    console.print(table)
    for name, ratio in result["ratios"].items():
        verdict = "[red]missed[/red]" if name in result["missed"] else "[green]met[/green]"
        console.print(f"{name}: {ratio:.2f}, target {result['targets'][name]:g}, {verdict}", highlight=False)


def run_cases(
    cases: Mapping[str, Any],
    run: Callable[[Any], dict[str, Any]],
    title: Callable[[str, Any], str],
    unit: str,
    place: Path | None,
    judged: bool,
) -> None:
    """Run, show and write every case. Exit code 1 when a target is missed and `judged`; 2 when a program fails."""
    results = {}
    for name, case in cases.items():
        try:
            results[name] = run(case)
        except UserError as error:
            raise click.UsageError(str(error)) from error
        show(title(name, case), unit, results[name])
    if place is not None:
        write_json(place, results)
    if judged and any(result["missed"] for result in results.values()):
        raise SystemExit(FINDINGS)
