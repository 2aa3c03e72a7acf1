"""What a person at the terminal sees: progress, the summary of a run, the doctor's table. rich only."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table

if TYPE_CHECKING:
    from jdart.doctor import Finding
    from jdart.planning.plan import Plan
    from jdart.runs.job import Event

MARKS = {"ok": "[green]ok[/]", "warn": "[yellow]warn[/]", "fail": "[red]fail[/]"}


def speak() -> None:
    """Show what the libraries log, warnings and worse, as one line each on standard error."""
    handler = RichHandler(console=Console(stderr=True), show_time=False, show_path=False)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])
    for chatty in ("transformers", "torch", "matplotlib"):
        logging.getLogger(chatty).setLevel(logging.ERROR)


@contextmanager
def compiler_log(path: Path) -> Iterator[Console]:
    """Jittor's compiler writes progress lines straight to the terminal, across the bars; send them to a file meanwhile.

    Yields a console on the terminal's real standard error.
    """
    sys.stderr.flush()
    terminal = os.dup(2)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab") as log:
        os.dup2(log.fileno(), 2)
    try:
        with open(terminal, "w", closefd=False) as stream:
            yield Console(file=stream)
    finally:
        sys.stderr.flush()
        os.dup2(terminal, 2)
        os.close(terminal)


def show_stages(stages: Mapping[str, Callable[[], Iterator[Event]]], folder: Path, title: str | None = None) -> None:
    """Run the stages in order with a bar for each style, then print a table of what was done and how long it took."""
    console = Console()
    summary = Table(title=escape(str(folder) if title is None else f"{title}: {folder}"))
    for column, justify in (
        ("stage", "left"),
        ("done", "right"),
        ("there already", "right"),
        ("seconds", "right"),
        ("", "left"),
    ):
        summary.add_column(column, justify=justify)  # type: ignore[arg-type]
    worked = False
    columns = (
        TextColumn("{task.description}", table_column=Column(no_wrap=True, min_width=11)),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with (
        compiler_log(folder / "compiler.log") as terminal,
        Progress(*columns, TextColumn("{task.fields[text]}"), console=terminal) as progress,
    ):
        for name, stage in stages.items():
            begun = time.perf_counter()
            fresh, old, last = _follow(stage(), name, progress)
            worked = worked or fresh > 0
            if fresh + old:
                summary.add_row(name, str(fresh), str(old), f"{time.perf_counter() - begun:.1f}", escape(last))
    console.print(summary)
    if not worked:
        console.print("Everything was there already; nothing was done.")


def _follow(events: Iterator[Event], name: str, progress: Progress) -> tuple[int, int, str]:
    """Show a stage's events. Returns how many units were made now, how many were there, and the stage's last word."""
    bars: dict[str | None, int] = {}
    made: dict[str | None, int] = {}
    there: dict[str | None, int] = {}
    last = ""
    for event in events:
        if event.style not in bars:
            label = name if event.style is None else f"{name} {event.style}"
            bars[event.style] = progress.add_task(label, total=event.total, text="")
        progress.update(bars[event.style], completed=event.done, text=event.text)  # type: ignore[arg-type]
        if event.skipped:
            there[event.style] = event.done
        made[event.style] = event.done - there.get(event.style, 0)
        last = event.text if event.style is None else ""
    return sum(made.values()), sum(there.values()), last


def findings_table(findings: Iterable[Finding]) -> Table:
    """The doctor's findings, each with its cure."""
    table = Table(title="jdart doctor")
    for column in ("", "what", "found", "cure"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        cure = "" if finding.cure is None else finding.cure
        table.add_row(MARKS[finding.status], *map(escape, (finding.name, finding.found, cure)))
    return table


def plan_table(plan: Plan, output: str) -> Table:
    """What a run needs beside what this machine has."""
    table = Table(title=escape(f"{output}, on {plan.workers} worker{'s' if plan.workers > 1 else ''}"))
    for column in ("", "needs", "has", "made of"):
        table.add_column(column)
    costs = plan.costs
    steps = f"{costs.step:.3g} s a training step, {costs.call:.3g} s a sampler step of a batch"
    parts = f"LoRA {_bytes(plan.lora_bytes)}, checkpoints {_bytes(plan.checkpoint_bytes)}, "
    parts += f"pictures {_bytes(plan.picture_bytes)}, archive {_bytes(plan.archive_bytes)}"
    table.add_row("time", _duration(plan.seconds), "", steps)
    table.add_row("  training", _duration(plan.training_seconds), "", "of all styles, one after another")
    table.add_row("  drawing", _duration(plan.drawing_seconds), "", "of all styles, one after another")
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    table.add_row("memory", _bytes(plan.memory), f"{_bytes(free)} unused", f"{_bytes(costs.memory)} a worker")
    if plan.device_memory is not None:
        table.add_row("GPU memory", _bytes(plan.device_memory), "", "on each")
    there = next(path for path in [Path(output).absolute(), *Path(output).absolute().parents] if path.exists())
    table.add_row("disk", _bytes(plan.disk), f"{_bytes(shutil.disk_usage(there).free)} free", parts)
    return table


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{seconds:.1f} s"


def print_table(table: Table) -> None:
    """Print to standard output."""
    Console().print(table)
