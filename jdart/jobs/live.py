"""The table of all tasks while an executor works, and plain lines where there is no terminal."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from contest.screen import screen
from jdart.jobs.tasks import DONE, FAILED, RUNNING, THERE, WAITING, Progress, Stream, Task, warnings_in
from jdart.runs.job import Event

COLOURS = {WAITING: "dim", RUNNING: "cyan", DONE: "green", FAILED: "red", THERE: "green"}
DOING = {"prior": "drawing", "train": "training", "generate": "drawing"}


@dataclass
class Row:
    """A task as the table shows it."""

    device: str = ""
    state: str = WAITING
    text: str = ""
    event: Event | None = None
    begun: float = 0.0  # when the stage's first event came
    first: int = 0  # how much of the stage was done by then

    def update(self, progress: Progress, now: float) -> None:
        """Take in what was told at `now`, in seconds."""
        self.device, self.state, self.text = progress.device, progress.state, progress.text
        if progress.event is not None:
            if self.event is None or self.event.stage != progress.event.stage or self.event.skipped:
                self.begun, self.first = now, progress.event.done
            self.event, self.text = progress.event, progress.event.text

    @property
    def word(self) -> str:
        """What the task is about, in a word."""
        if self.state == RUNNING:
            return "starting" if self.event is None else DOING.get(self.event.stage, self.event.stage)
        return self.state

    def seconds_left(self, now: float) -> float | None:
        """Of the stage, at the pace so far; None while that is not known."""
        if self.state != RUNNING or self.event is None or self.event.done <= self.first:
            return None
        return (now - self.begun) / (self.event.done - self.first) * (self.event.total - self.event.done)


def show_tasks(
    tasks: Sequence[Task],
    there: Iterable[str],
    progresses: Stream,
    console: Console | None = None,
) -> Mapping[str, str]:
    """Follow an executor to its end, on standard output, and say what its processes warned of.

    `there` are the tasks that need no work.

    Returns why each failed task failed.
    """
    console = screen() if console is None else console
    rows = {task.name: Row() for task in tasks}
    for name in there:
        rows[name].state = THERE
    show = _follow_live if console.is_terminal else _follow_plainly
    with closing(progresses):  # ends the processes, whatever stops us
        show(rows, progresses, console)
    for text, names in _warnings(task for task in tasks if rows[task.name].state != THERE).items():
        said = f"WARNING  {', '.join(names)}: {text}"
        console.print(said, markup=False, highlight=False, soft_wrap=True)
    return {name: row.text for name, row in rows.items() if row.state == FAILED}


def _warnings(tasks: Iterable[Task]) -> Mapping[str, list[str]]:
    """Each warning of the tasks' logs, with the names of the tasks whose process gave it."""
    found: dict[str, list[str]] = {}
    for task in tasks:
        with suppress(OSError):  # it never started
            for text in warnings_in(task.log.read_text("utf-8", errors="replace")):
                found.setdefault(text, []).append(task.name)
    return found


def _follow_live(rows: Mapping[str, Row], progresses: Iterable[Progress], console: Console) -> None:
    with Live(console=console, get_renderable=lambda: tasks_table(rows, time.monotonic()), refresh_per_second=4):
        for progress in progresses:
            rows[progress.task].update(progress, time.monotonic())


def _follow_plainly(rows: Mapping[str, Row], progresses: Iterable[Progress], console: Console) -> None:
    """A line when a style's state changes."""
    for name, row in rows.items():
        if row.state == THERE:
            console.print(f"{name}: {THERE}", highlight=False)
    for progress in progresses:
        row = rows[progress.task]
        before = row.word
        row.update(progress, time.monotonic())
        if row.word != before:
            where = f" on {row.device}" if row.device else ""
            said = f": {row.text}" if row.state in (FAILED, WAITING) else ""
            console.print(f"{progress.task}: {row.word}{where}{said}", markup=False, highlight=False, soft_wrap=True)


def tasks_table(rows: Mapping[str, Row], now: float) -> Table:
    """Every task with its device, what it does, how far it is, and how it stands."""
    table = Table()
    for column in ("style", "device", "stage", "step", "last", "left", "state"):
        table.add_column(column, justify="right" if column in ("step", "left") else "left")
    for name, row in rows.items():
        event, left = row.event, row.seconds_left(now)
        table.add_row(
            name,
            row.device,
            "" if event is None else event.stage,
            "" if event is None else f"{event.done}/{event.total}",
            escape(row.text),
            "" if left is None else f"{int(left) // 60}:{int(left) % 60:02}",
            f"[{COLOURS[row.state]}]{row.word}[/]",
        )
    return table
