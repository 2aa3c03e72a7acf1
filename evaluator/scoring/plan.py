"""What is left of a batch that many workers share: entries x styles, an entry after the other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional

BEGIN, LOOK, REPORT = "begin", "look", "report"


@dataclass(frozen=True)
class Unit:
    """A piece of work: whether there is anything to do for an entry, a look at one of its styles, or its report."""

    entry: int
    kind: str
    style: Optional[str] = None


@dataclass
class Plan:
    """Units in an order in which the entries that were begun are finished first.

    `total` entries; a unit is `next` once, is under way then, and at last `done`, or given `again`.
    """

    total: int
    left: list[Unit] = field(default_factory=list)
    waiting: dict[int, set[str]] = field(default_factory=dict)  # entry -> styles of which the notes are not there yet
    begun: int = 0
    closed: set[int] = field(default_factory=set)

    def next(self) -> Optional[Unit]:
        """The next unit; None where nothing can be begun at present."""
        if not self.left and self.begun < self.total:
            self.left.append(Unit(self.begun, BEGIN))
            self.begun += 1
        return self.left.pop(0) if self.left else None

    def look(self, entry: int, styles: tuple[str, ...]) -> None:
        """An entry has these styles to look at, and its report comes after them; at once where there are none."""
        self.waiting[entry] = set(styles)
        self.left[:0] = [Unit(entry, LOOK, style) for style in styles]
        self._report_if_ready(entry)

    def looked(self, unit: Unit) -> None:
        """A style's notes are there."""
        if unit.entry not in self.closed and unit.style is not None:
            self.waiting[unit.entry].discard(unit.style)
            self._report_if_ready(unit.entry)

    def again(self, unit: Unit) -> None:
        """What was under way is lost."""
        if unit.entry not in self.closed:
            self.left.insert(0, unit)

    def close(self, entry: int) -> bool:
        """There is an outcome, and nothing more is done for this entry; False where there was one already."""
        if entry in self.closed:
            return False
        self.closed.add(entry)
        self.left = [unit for unit in self.left if unit.entry != entry]
        return True

    def _report_if_ready(self, entry: int) -> None:
        if not self.waiting[entry]:
            self.left.insert(0, Unit(entry, REPORT))
