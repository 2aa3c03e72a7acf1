"""A sweep as it goes: a table on a terminal, elsewhere a line a trial."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import mean, median

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from contest.screen import screen
from jdart.compiling.progress import Compiling
from jdart.running.compiling import compiling_shown
from jdart.running.stages import Lines, compiler_log, kernels_watched
from jdart.runs.job import Event
from jdart.sweeping.rows import FAILED, FINISHED, RUNNING, STOPPED, Row
from jdart.sweeping.runner import Progress
from jdart.sweeping.study import SweepStudy
from jdart.sweeping.table import line_of, trials_table

FRAME = 8  # lines of a terminal that the table's rows do not have


class Forecast:
    """Minutes left, by the median of what styles took so far: the first also compile, and what was there is free."""

    def __init__(self, trials: int, styles: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.trials, self.styles, self.clock = trials, styles, clock
        self.begun = clock()
        self.took: list[float] = []
        self.seen: set[int] = set()

    def tell(self, told: Progress) -> None:
        """Take in how far a trial is."""
        if told.ended:
            self.seen.add(told.number)
        if told.ended or told.style is not None:
            now = self.clock()
            if told.style is not None and told.fresh:
                self.took.append(now - self.begun)
            self.begun = now

    def text(self, rows: Sequence[Row]) -> str:
        """Such as "about 12 min left"; empty while it is not known, and at the end.

        A trial to come is taken to have as many styles as those that are over had.
        """
        if not self.took:
            return ""
        over = [len(row.styles) for row in rows if row.state in (FINISHED, STOPPED)]
        usual = mean(over) if over else float(self.styles)
        begun = [row for row in rows if row.state in (RUNNING, FAILED) and row.number not in self.seen]
        left = sum(self.styles - len(row.styles) for row in begun) + usual * max(0, self.trials - len(rows))
        return f"about {max(1, round(left * median(self.took) / 60))} min left" if left else ""


def show_sweep(study: SweepStudy, progress: Iterable[Progress], folder: Path) -> None:
    """Follow a sweep to its end. A line a trial goes to standard error where that is no terminal."""
    trials, styles, keys = study.plan.sweep.trials, len(study.styles), list(study.plan.sweep.space)
    forecast, rows = Forecast(trials, styles), study.rows
    with (
        compiler_log(folder / "compiler.log") as terminal,
        _display(terminal) as (now, show),
        compiling_shown(now.compiling),
        kernels_watched(),
    ):
        for told in progress:
            forecast.tell(told)
            if told.event is not None:
                now.event(told.event, _what(told.number, told.event))
                continue
            rows = study.rows
            left = forecast.text(rows)
            show(trials_table(rows, styles, keys, max(1, terminal.height - FRAME)), _head(len(rows), trials, left))
            if told.ended and not terminal.is_terminal:
                row = next(row for row in rows if row.number == told.number)
                line = f"{line_of(row, rows, styles, keys)}  {_head(len(rows), trials, left)}"
                terminal.print(line, markup=False, highlight=False, soft_wrap=True)


def _what(number: int, event: Event) -> str:
    style = "" if event.style is None else f" {event.style}"
    return f"trial {number}: {event.stage}{style}"


def _head(made: int, trials: int, left: str) -> str:
    return f"{made} of {trials} trials" + (f", {left}" if left else "")


class _Now:
    """What is done at the moment: the last line of the live table, which is drawn anew several times a second."""

    def __init__(self) -> None:
        self.text = ""

    def event(self, event: Event, label: str) -> None:
        self.text = f"{label}: {event.done} of {event.total} {event.text}"

    def compiling(self, state: Compiling) -> None:
        self.text = str(state)

    def __rich__(self) -> Text:
        return Text(self.text, no_wrap=True, overflow="ellipsis")


@contextmanager
def _display(console: Console) -> Iterator[tuple[Lines | _Now, Callable[[Table, str], None]]]:
    """Where events go, and what shows the trials with a line below: nothing where there is no terminal."""
    if not console.is_terminal:
        yield Lines(console), lambda table, head: None
        return
    now = _Now()
    with Live(now, console=console, transient=True) as live:
        yield now, lambda table, head: live.update(Group(table, Text(head, style="bold"), now))


def print_trials(study: SweepStudy) -> None:
    """All trials, on standard output."""
    screen().print(trials_table(study.rows, len(study.styles), list(study.plan.sweep.space)))
