"""How long receipts took in a drill: of whole archives, and of files that might still have been growing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from organiser.desk import Desk
from organiser.drilling.plan import Fake
from organiser.intake import SETTLE, ends_whole

TARGET = 2.0  # seconds from an archive's last byte to its receipt, at the 99th percentile


@dataclass(frozen=True)
class Spread:
    """Seconds: the middle one, the 99th percentile (of few: the largest), the largest."""

    median: float
    p99: float
    most: float


@dataclass(frozen=True)
class Receipts:
    """Those of files that end as a whole archive does; the others are only taken after `SETTLE` seconds of calm."""

    whole: Optional[Spread]
    others: Optional[Spread]

    def problems(self) -> list[str]:
        """What is above the target, which counts from when a file may be taken."""
        told = []
        for what, found, target in (("", self.whole, TARGET), ("of no whole archive ", self.others, SETTLE + TARGET)):
            if found is not None and found.p99 >= target:
                took = f"receipts {what}took {found.p99:.2f} s at the 99th percentile"
                told.append(f"{took}; the target is below {target:g} s")
        return told


def receipt_times(desk: Desk, fakes: Sequence[Fake], sent: Mapping[tuple[str, str], float]) -> dict[Fake, float]:
    """Seconds from an archive's last byte to its receipt, of those that have one; `sent` is when that byte was sent."""
    entries = {(entry.team, entry.file): entry for entry in desk.ledger.entries()}
    times = {}
    for fake in fakes:
        entry = entries.get((fake.team, fake.name))
        if entry is not None and (fake.team, fake.name) in sent:
            letter = desk.outbox / entry.team / f"{entry.folder}.receipt.json"
            if letter.is_file():
                times[fake] = letter.stat().st_mtime - sent[fake.team, fake.name]
    return times


def receipts_of(times: Mapping[Fake, float]) -> Receipts:
    """Both kinds apart."""
    whole = {fake: ends_whole(fake.ready, fake.ready.stat().st_size) for fake in times}
    kinds = ([time for fake, time in times.items() if whole[fake] == kind] for kind in (True, False))
    return Receipts(*(spread(kind) if kind else None for kind in kinds))


def spread(values: Sequence[float]) -> Spread:
    """Of at least one value. The percentile is the smallest value that is not below 99 % of them."""
    ordered = sorted(values)
    return Spread(ordered[(len(ordered) - 1) // 2], ordered[math.ceil(0.99 * len(ordered)) - 1], ordered[-1])
