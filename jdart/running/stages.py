"""The stages of a run as they go: a bar for each style on a terminal, lines where there is none; a table at the end."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

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

from contest.screen import screen
from jdart.compiling import progress as compiling
from jdart.running.compiling import EVERY, CompilingLine, compiling_shown

if TYPE_CHECKING:
    from jdart.compiling.progress import Compiling
    from jdart.runs.job import Event


@contextmanager
def compiler_log(path: Path) -> Iterator[Console]:
    """Jittor's compiler writes progress lines straight to the terminal, across the bars; send them to a file meanwhile.

    Yields a console on the terminal's real standard error. What is logged, and what Python says, still appears there.
    """
    sys.stderr.flush()
    terminal = os.dup(2)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab") as log:
        os.dup2(log.fileno(), 2)
    try:
        with open(terminal, "w", closefd=False) as stream, redirect_stderr(stream):
            console = screen(file=stream)
            with _logged_on(console):
                yield console
    finally:
        sys.stderr.flush()
        os.dup2(terminal, 2)
        os.close(terminal)


@contextmanager
def _logged_on(console: Console) -> Iterator[None]:
    """What is logged for a person appears above the bars on `console`; another console would write across them."""
    handlers = [handler for handler in logging.getLogger().handlers if isinstance(handler, RichHandler)]
    before = [handler.console for handler in handlers]
    for handler in handlers:
        handler.console = console
    try:
        yield
    finally:
        for handler, own in zip(handlers, before):
            handler.console = own


class Display(Protocol):
    """What is shown while the stages run."""

    def event(self, event: Event, label: str) -> None:
        """A stage, or a style in it, is as far as the event says."""

    def end(self, stage: str, fresh: int, old: int, seconds: float, last: str) -> None:
        """A stage is over."""

    def compiling(self, state: Compiling) -> None:
        """Jittor compiles."""


class Bars:
    """A bar for each stage and style, and one line for the compiler."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.tasks: dict[str, int] = {}

    def event(self, event: Event, label: str) -> None:
        self._update(label, event.done, event.total, event.text)

    def end(self, stage: str, fresh: int, old: int, seconds: float, last: str) -> None:
        """The bars stay as they are."""

    def compiling(self, state: Compiling) -> None:
        self._update("compiling", state.done, state.total, state.what)

    def _update(self, label: str, done: int, total: int | None, text: str) -> None:
        if label not in self.tasks:
            self.tasks[label] = self.progress.add_task(label, total=total, text="")
        self.progress.update(self.tasks[label], completed=done, total=total, text=text)  # type: ignore[arg-type]


class Lines:
    """A line a stage when it is over, and every 20 seconds one that says how far it is."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.console, self.clock = console, clock
        self.said = clock()
        self.compiler = CompilingLine(console, clock)

    def event(self, event: Event, label: str) -> None:
        if event.done < event.total and self.clock() - self.said >= EVERY:
            self._say(f"{label}: {event.done} of {event.total} {event.text}")

    def end(self, stage: str, fresh: int, old: int, seconds: float, last: str) -> None:
        self._say(f"{stage}: {fresh} done, {old} there already, {seconds:.1f} s  {last}")

    def compiling(self, state: Compiling) -> None:
        self.compiler.show(state)

    def _say(self, line: str) -> None:
        self.said = self.clock()
        self.console.print(line.rstrip(), markup=False, highlight=False, soft_wrap=True)


def show_stages(stages: Mapping[str, Callable[[], Iterator[Event]]], folder: Path, title: str | None = None) -> None:
    """Run the stages in order and show how far they are, then print a table of what was done and how long it took."""
    console = screen()
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
    with (
        compiler_log(folder / "compiler.log") as terminal,
        _display(terminal) as display,
        compiling_shown(display.compiling),
        kernels_watched(),
    ):
        for name, stage in stages.items():
            begun = time.perf_counter()
            fresh, old, last = _follow(stage(), name, display)
            worked = worked or fresh > 0
            if fresh + old:
                seconds = time.perf_counter() - begun
                display.end(name, fresh, old, seconds, last)
                summary.add_row(name, str(fresh), str(old), f"{seconds:.1f}", escape(last))
    console.print(summary)
    if not worked:
        console.print("Everything was there already; nothing was done.")


@contextmanager
def _display(terminal: Console) -> Iterator[Display]:
    if not terminal.is_terminal:
        yield Lines(terminal)
        return
    columns = (
        TextColumn("{task.description}", table_column=Column(no_wrap=True, min_width=11)),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, TextColumn("{task.fields[text]}"), console=terminal) as progress:
        yield Bars(progress)


def kernels_watched() -> AbstractContextManager[None]:
    """Meanwhile the kernels that Jittor compiles are counted and told, where Jittor is loaded."""
    jittor = sys.modules.get("jittor")
    if jittor is None:
        return nullcontext()
    cache = Path(jittor.flags.cache_path)
    return compiling.watched("kernels", lambda: compiling.kernels(cache))


def _follow(events: Iterator[Event], name: str, display: Display) -> tuple[int, int, str]:
    """Show a stage's events. Returns how many units were made now, how many were there, and the stage's last word."""
    made: dict[str | None, int] = {}
    there: dict[str | None, int] = {}
    last = ""
    for event in events:
        display.event(event, name if event.style is None else f"{name} {event.style}")
        if event.skipped:
            there[event.style] = event.done
        made[event.style] = event.done - there.get(event.style, 0)
        last = event.text if event.style is None else ""
    return sum(made.values()), sum(there.values()), last
