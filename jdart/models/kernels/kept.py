"""What a block that is computed twice need not compute twice: results that are small beside the work they take.

Source: Korthikanti et al., Reducing Activation Recomputation in Large Transformer Models, 2205.05198.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Optional, TypeVar

T = TypeVar("T")


class Tape:
    """Results of `once`, in the order in which a block computes them."""

    def __init__(self) -> None:
        self._kept: list = []
        self._again = False

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Keep every result, for the length of a block."""
        with _as_current(self):
            yield

    @contextmanager
    def playing(self) -> Iterator[None]:
        """Give the results back instead of computing them, each one once."""
        self._again = True
        with _as_current(self):
            yield

    def pass_by(self, compute: Callable[[], T]) -> T:
        if self._again:
            return self._kept.pop(0)
        self._kept.append(compute())
        return self._kept[-1]


_current: Optional[Tape] = None


def once(compute: Callable[[], T]) -> T:
    """What `compute` gives; in the second pass through a block what it gave in the first."""
    return compute() if _current is None else _current.pass_by(compute)


@contextmanager
def _as_current(tape: Tape) -> Iterator[None]:
    global _current
    before, _current = _current, tape
    try:
        yield
    finally:
        _current = before
