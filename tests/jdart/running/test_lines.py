"""What is shown of a run where there is no terminal, and of the compiler."""

import io
import logging

from rich.console import Console

from contest.screen import screen
from jdart.compiling.progress import Compiling, tell
from jdart.running.compiling import CompilingLine, compiling_shown
from jdart.running.stages import Lines, show_stages
from jdart.runs.job import Event


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def plain():
    return screen(file=io.StringIO())


def test_a_table_in_a_pipe_is_as_wide_as_it_needs(monkeypatch):
    from rich.table import Table

    monkeypatch.delenv("COLUMNS", raising=False)
    console, long = plain(), "a/very/long/path" * 20
    table = Table()
    table.add_column("path")
    table.add_row(long)
    console.print(table)
    assert long in console.file.getvalue()
    monkeypatch.setenv("COLUMNS", "40")
    assert plain().width == 40


def test_a_stage_is_a_line_and_one_that_takes_long_more():
    clock, console = Clock(), plain()
    lines = Lines(console, clock)
    for second in range(45):
        clock.now = float(second)
        lines.event(Event("train", "00", second, 45, "loss 0.1"), "train 00")
    lines.end("train", 45, 0, 45.0, "")
    assert console.file.getvalue().splitlines() == [
        "train 00: 20 of 45 loss 0.1",
        "train 00: 40 of 45 loss 0.1",
        "train: 45 done, 0 there already, 45.0 s",
    ]


def test_the_compiler_every_twenty_seconds_and_at_its_end():
    clock, console = Clock(), plain()
    line = CompilingLine(console, clock)
    for second in range(50):
        clock.now = float(second)
        line.show(Compiling("kernels", second, None, float(second)))
    line.show(Compiling("kernels", 50, None, 50.0, over=True))
    assert console.file.getvalue().splitlines() == [
        "compiling kernels: 20 after 20 s",
        "compiling kernels: 40 after 40 s",
        "compiled kernels: 50 in 50 s",
    ]


def test_on_a_terminal_it_is_one_line_that_is_written_over():
    out = io.StringIO()
    line = CompilingLine(Console(file=out, force_terminal=True, width=30))
    line.show(Compiling("Jittor's core", 3, 150, 2.0))
    line.show(Compiling("Jittor's core", 150, 150, 90.0, over=True))
    assert out.getvalue().count("\n") == 1 and out.getvalue().count("\r") == 2
    assert all(len(part) <= 30 + len("\x1b[K") for part in out.getvalue().split("\r"))


def test_the_logged_state_reaches_who_shows_it_and_only_meanwhile():
    seen = []
    state = Compiling("kernels", 1, None, 1.0)
    source = logging.getLogger("jdart.compiling.progress")
    before = list(source.handlers), source.level
    with compiling_shown(seen.append):
        tell(state)
    tell(state)
    assert seen == [state] and (list(source.handlers), source.level) == before


def test_stages_in_a_pipe(tmp_path, capfd, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    folder = tmp_path / ("a-long-name" * 15)

    def train():
        yield Event("train", None, 1, 1, "everything, and where it lies, and why" * 5)

    show_stages({"train": train}, folder)
    out, err = capfd.readouterr()
    assert err.startswith("train: 1 done, 0 there already, ")
    assert "everything, and where it lies, and why" * 5 in out
