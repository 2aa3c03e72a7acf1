"""An ablation as it goes: bars on a terminal, everywhere a line for each variant that is done, a table at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from contest.numbers import decimal
from contest.screen import screen
from jdart.running.compiling import CompilingLine, compiling_shown
from jdart.running.stages import Lines, compiler_log, kernels_watched
from jdart.trying.ablation import full_name
from jdart.trying.figures import METRICS, Row, rows_of
from jdart.trying.runner import Progress as Told
from jdart.trying.runner import Run
from jdart.trying.trials import Trial


class Forecast:
    """Minutes left, by what runs and trainings took so far; what was there already tells nothing."""

    def __init__(self, runs: Sequence[Run], clock: Callable[[], float] = time.monotonic) -> None:
        self.clock, self.begun = clock, clock()
        self.left = {
            True: len({run.training.folder.root for run in runs if not run.trained}),
            False: sum(not run.scored for run in runs),
        }
        self.spent = {True: 0.0, False: 0.0}
        self.made = {True: 0, False: 0}
        self.fresh = False

    def tell(self, told: Told) -> None:
        """Take in how far a run is."""
        now = self.clock()
        self.fresh = self.fresh or not told.event.skipped
        if not told.event.skipped:
            self.spent[told.training] += now - self.begun
        self.begun = now
        if self.fresh and told.over:
            self.made[told.training] += 1
            self.left[told.training] = max(0, self.left[told.training] - 1)
            self.fresh = False

    def text(self) -> str:
        """Such as "about 12 min left"; empty while it is not known."""
        if any(self.left[kind] and not self.made[kind] for kind in (True, False)):
            return ""
        seconds = sum(self.left[kind] * self.spent[kind] / max(1, self.made[kind]) for kind in (True, False))
        return f"about {max(1, round(seconds / 60))} min left" if any(self.left.values()) else ""


def show_runs(runs: Sequence[Run], progress: Iterable[Told], folder: Path) -> None:
    """Follow an ablation to its end. A line a variant goes to standard error, as its runs are done."""
    names = list(dict.fromkeys(run.trial.name for run in runs))
    groups = {name: [run.trial for run in runs if run.trial.name == name] for name in names}
    plain = groups[names[0]]
    seeds = {name: len(group) for name, group in groups.items()}
    forecast = Forecast(runs)
    with compiler_log(folder / "compiler.log") as terminal, _bars(terminal) as bars:
        compiler, lines = CompilingLine(terminal), Lines(terminal)
        whole = bars.add_task("runs", total=len(runs), text="")
        stage = bars.add_task("", total=None, text="")
        with compiling_shown(compiler.show), kernels_watched():
            for told in progress:
                forecast.tell(told)
                event, trial = told.event, told.run.trial
                what = " ".join(
                    [trial.name, f"seed {trial.seed}:", event.stage, *([event.style] if event.style else [])]
                )
                if not terminal.is_terminal:
                    lines.event(event, what)
                bars.update(stage, description=what, completed=event.done, total=event.total, text=event.text)
                if told.over and not told.training:
                    bars.update(whole, advance=1, text=forecast.text())
                    seeds[trial.name] -= 1
                    if seeds[trial.name] == 0:
                        row = rows_of([*plain, *groups[trial.name]] if trial.name != names[0] else plain)[-1]
                        said = _line(row, names.index(trial.name) + 1, len(names), forecast.text())
                        terminal.print(said, markup=False, highlight=False, soft_wrap=True)


def print_table(every: Sequence[Trial]) -> None:
    """All variants that are done, on standard output."""
    table = Table()
    for head in ("method", "at", *(head for head, _ in METRICS.values()), "gain", "s a picture"):
        table.add_column(head, justify="left" if head in ("method", "at") else "right", no_wrap=True)
    for row in rows_of(every):
        figures = [row.figures[metric].text(digits) for metric, (_, digits) in METRICS.items()]
        gain = "" if row.gain is None else row.gain.text(4, plus=True)
        variant = "" if row.gain is None else row.variant
        table.add_row(escape(row.method), escape(variant), *figures, gain, _seconds(row))
    screen().print(table)


def _line(row: Row, number: int, count: int, left: str) -> str:
    """What is said of a variant that is done."""
    gain = "" if row.gain is None else f", {row.gain.text(4, plus=True)} beside plain"
    pace = "" if row.seconds is None else f", {_seconds(row)} s a picture"
    said = f"{full_name(row.method, row.variant)}: Final {row.figures['final'].text(4)}{gain}{pace}"
    return f"{number} of {count}  {said}" + (f"; {left}" if left else "")


def _seconds(row: Row) -> str:
    return "" if row.seconds is None else decimal(row.seconds, 3)


@contextmanager
def _bars(console: Console) -> Iterator[Progress]:
    """Two bars on a terminal; elsewhere nothing is shown of them."""
    columns = (
        TextColumn("{task.description}", table_column=Column(no_wrap=True)),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[text]}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield progress
