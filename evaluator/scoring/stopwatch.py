"""Where the time goes."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Seconds spent per name, added up from one lap to the next."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Count the block's time towards `name`."""
        start = time.perf_counter()
        yield
        self._seconds[name] += time.perf_counter() - start

    def lap(self) -> dict[str, float]:
        """What was counted since the last lap, to the millisecond."""
        seconds, self._seconds = self._seconds, defaultdict(float)
        return {name: round(spent, 3) for name, spent in seconds.items()}
