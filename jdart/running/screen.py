"""What a person at the terminal sees: what is logged, the doctor's table, the plan. rich only."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape
from rich.table import Table

from contest.screen import screen
from jdart.running.compiling import CompilingLine, PlainHandler, follow_compiling

if TYPE_CHECKING:
    from jdart.doctor import Finding
    from jdart.planning.plan import Plan

MARKS = {"ok": "[green]ok[/]", "warn": "[yellow]warn[/]", "fail": "[red]fail[/]"}


def speak() -> None:
    """Show what the libraries log, warnings and worse, a line each on standard error, and how far the compiler is."""
    console = Console(stderr=True)
    handler = RichHandler(console=console, show_time=False, show_path=False) if console.is_terminal else PlainHandler()
    handler.addFilter(lambda record: not hasattr(record, "compiling"))
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])
    follow_compiling(CompilingLine(console).show)
    for chatty in ("transformers", "torch", "matplotlib"):
        logging.getLogger(chatty).setLevel(logging.ERROR)


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
    if plan.searching_seconds is not None:
        drawn = f"of {plan.searched} candidates ({_bytes(plan.searched * costs.picture)}) instead, by jdart search"
        table.add_row("  drawing", _duration(plan.searching_seconds), "", drawn)
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
    screen().print(table)
