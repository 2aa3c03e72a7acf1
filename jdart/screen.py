"""What a person at the terminal sees: progress, the summary of a run, the doctor's table. rich only."""

from __future__ import annotations

import logging
import os
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
    from jdart.job import Event

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


def show_stages(stages: Mapping[str, Callable[[], Iterator[Event]]], folder: Path) -> None:
    """Run the stages in order with a bar for each style, then print a table of what was done and how long it took."""
    console = Console()
    summary = Table(title=escape(f"{folder}"))
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


def print_table(table: Table) -> None:
    """Print to standard output."""
    Console().print(table)
