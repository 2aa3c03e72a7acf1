"""How far Jittor is with compiling, counted in its cache: the files of its core, and the kernels.

A thread looks while Jittor works, and logs what it sees with the figures attached (`record.compiling`), for whoever
shows it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

log = logging.getLogger(__name__)

INTERVAL = 1.0  # seconds between two looks
SOME = 8  # files, from which on there is a pace


@dataclass(frozen=True)
class Compiling:
    """What is being compiled: how many are `done` since the start, of how many (None: not known), after how long."""

    what: str
    done: int
    total: Optional[int]
    seconds: float
    over: bool = False

    @property
    def left(self) -> float | None:
        """Seconds until the end at the pace so far; None while there is no pace to speak of."""
        if self.total is None or self.done < SOME:
            return None
        return self.seconds / self.done * max(0, self.total - self.done)

    def __str__(self) -> str:
        if self.over:
            return f"compiled {self.what}: {self.done} in {_duration(self.seconds)}"
        of = "" if self.total is None else f" of {self.total}"
        left = "" if self.left is None else f", about {_duration(self.left)} left"
        return f"compiling {self.what}: {self.done}{of} after {_duration(self.seconds)}{left}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def core_files(cache: Path) -> tuple[int, int | None]:
    """How many files of Jittor's core are compiled in `cache`, and of how many.

    Jittor generates some of them first; until it has, the number is not known.
    """
    import jittor_utils

    source = Path(jittor_utils.__file__).parents[1] / "jittor" / "src"
    generated = {path.name for path in (cache / "gen").glob("pyjt_*.cc")}
    core = {path.name for path in source.rglob("*.cc")} | generated
    compiled = sum(1 for path in (cache / "obj_files").glob("*.o") if path.stem in core)  # others are oneDNN's
    apart = 5  # files of src/utils that Jittor compiles beforehand into a library of their own
    return compiled, len(core) - apart if generated else None


def kernels(cache: Path) -> tuple[int, int | None]:
    """How many kernels are compiled in `cache`; how many it will be is known when the work is done."""
    return sum(1 for _ in (cache / "jit").glob("*.so")), None


@contextmanager
def watched(what: str, count: Callable[[], tuple[int, int | None]], interval: float = INTERVAL) -> Iterator[None]:
    """Log at level INFO how far `count` (done, total) has come, whenever that changes; nothing where it never does."""
    over = threading.Event()
    first = count()[0]
    begun = time.monotonic()

    def state(over: bool = False) -> Compiling:
        done, total = count()
        return Compiling(what, done - first, None if total is None else total - first, time.monotonic() - begun, over)

    def look() -> None:
        last = 0
        while not over.wait(interval):
            now = state()
            if now.done != last:
                last = now.done
                tell(now)

    watcher = threading.Thread(target=look, name=f"compiling {what}", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
        end = state(over=True)
        if end.done > 0:
            tell(end)


def tell(state: Compiling) -> None:
    """Log one state."""
    log.info("%s", state, extra={"compiling": state})
