"""A line that says how far Jittor is with compiling: alive on a terminal, every 20 seconds in a log."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from jdart.compiling.progress import Compiling
from jdart.compiling.progress import log as source

EVERY = 20.0  # seconds between two lines where there is no terminal


class PlainHandler(logging.StreamHandler):
    """Writes to what standard error is at that moment."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)
        self.setFormatter(logging.Formatter("%(levelname)-8s %(message)s"))

    @property
    def stream(self) -> Any:
        return sys.stderr


class _Follower(logging.Handler):
    """Hands on what is logged of the compiler."""

    def __init__(self, show: Callable[[Compiling], None]) -> None:
        super().__init__()
        self.show = show

    def emit(self, record: logging.LogRecord) -> None:
        state = getattr(record, "compiling", None)
        if state is not None:
            self.show(state)


def follow_compiling(show: Callable[[Compiling], None]) -> None:
    """From now on `show` is called with what is compiled, and nobody else is."""
    source.setLevel(logging.INFO)
    for handler in [handler for handler in source.handlers if isinstance(handler, _Follower)]:
        source.removeHandler(handler)
    source.addHandler(_Follower(show))


@contextmanager
def compiling_shown(show: Callable[[Compiling], None]) -> Iterator[None]:
    """Meanwhile `show` is called with what is compiled, instead of who was called before."""
    before, level = list(source.handlers), source.level
    follow_compiling(show)
    try:
        yield
    finally:
        source.handlers[:] = before
        source.setLevel(level)


class CompilingLine:
    """The line on `console`."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.console, self.clock = console, clock
        self.said = clock()

    def show(self, state: Compiling) -> None:
        """On a terminal the line is written over; elsewhere there is a new one every 20 seconds, and one at the end."""
        if self.console.is_terminal:
            self.console.file.write(f"\r\x1b[K{str(state)[: self.console.width - 1]}" + ("\n" if state.over else ""))
            self.console.file.flush()
        elif state.over or self.clock() - self.said >= EVERY:
            self.said = self.clock()
            self.console.print(str(state), markup=False, highlight=False, soft_wrap=True)
