"""What a drill shows: where every entry ended, how long receipts and scores took, how long the queue was."""

from __future__ import annotations

import resource
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Optional

from contest.disk.files import read_json
from organiser.books.audit import audit_event, audit_log
from organiser.books.log import read_lines
from organiser.books.states import QUEUED, RECEIVED, SCORED, SCORING
from organiser.clock import from_text
from organiser.desk import Desk
from organiser.drilling.fakes import COPIED, KINDS
from organiser.drilling.plan import Fake
from organiser.drilling.receipts import Receipts, Spread, receipt_times, receipts_of, spread
from organiser.reviewing.suspicion import NEAR_COPY, review


@dataclass(frozen=True)
class Measures:
    """Figures of one drill. Times in seconds, `cpu` of all threads; memory in bytes: the largest resident size.

    `wrong` says what is not as it must be; empty when all is.
    """

    entries: int
    rate: Optional[float]
    seconds: float
    cpu: float
    receipts: Receipts
    scoring: Optional[Spread]
    longest_queue: int
    memory: int
    states: dict[str, int]
    log_lines: int
    wrong: tuple[str, ...]


def measure(
    desk: Desk,
    fakes: Sequence[Fake],
    sent: Mapping[tuple[str, str], float],
    took: tuple[float, float],
    rate: float | None,
) -> Measures:
    """The figures of an evening that is over; `took` is seconds by the clock and of the CPU.

    Receipts are judged where a rate was asked for: a heap takes its time.
    """
    entries = {(entry.team, entry.file): entry for entry in desk.ledger.entries()}
    lines = read_lines(desk.ledger.lines())
    waits = receipt_times(desk, fakes, sent)
    wrong: list[str] = []
    states: dict[str, int] = {}
    for fake in fakes:
        kind, entry = KINDS[fake.kind], entries.get((fake.team, fake.name))
        where = f"{fake.team}/{fake.name} ({fake.kind})"
        if entry is None:
            wrong.append(f"{where}: was not taken")
            continue
        states[entry.state] = states.get(entry.state, 0) + 1
        if fake not in waits:
            wrong.append(f"{where}: got no receipt")
        if entry.state != kind.state:
            wrong.append(f"{where}: is {entry.state}, not {kind.state}; {entry.reason}")
        elif kind.code and kind.code not in _codes(desk, entry.team, entry.folder):
            wrong.append(f"{where}: is {entry.state}, but not by {kind.code}; {entry.reason}")
    wrong += audit_event(desk) + audit_log(lines, sorted(desk.outbox.rglob("*.receipt.json")))
    wrong += _unseen_copies(desk, fakes)
    receipts = receipts_of(waits)
    wrong += receipts.problems() if rate is not None else []
    times = scoring_times(lines)
    return Measures(
        entries=len(fakes),
        rate=rate,
        seconds=took[0],
        cpu=took[1],
        receipts=receipts,
        scoring=spread(times) if times else None,
        longest_queue=longest_queue(lines),
        memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        states=dict(sorted(states.items())),
        log_lines=len(lines),
        wrong=tuple(wrong),
    )


def longest_queue(lines: Sequence[Mapping[str, Any]]) -> int:
    """How many entries waited at most, unchecked ones and the one being scored with them."""
    waiting: set[int] = set()
    longest = 0
    for line in lines:
        if line["what"] == "received":
            waiting.add(line["entry"])
        elif line["what"] == "state" and line["state"] not in (RECEIVED, QUEUED, SCORING):
            waiting.discard(line["entry"])
        longest = max(longest, len(waiting))
    return longest


def scoring_times(lines: Sequence[Mapping[str, Any]]) -> list[float]:
    """Seconds of each scoring that came to its end, as the log has them."""
    begun: dict[int, datetime] = {}
    times = []
    for line in (one for one in lines if one["what"] == "state"):
        if line["state"] == SCORING:
            begun[line["entry"]] = from_text(line["time"])
        elif line["state"] == SCORED:
            times.append((from_text(line["time"]) - begun[line["entry"]]).total_seconds())
    return times


def _codes(desk: Desk, team: str, folder: str) -> set[str]:
    letter = read_json(desk.outbox / team / f"{folder}.findings.json")
    return {one["code"] for one in letter["findings"]}


def _unseen_copies(desk: Desk, fakes: Sequence[Fake]) -> list[str]:
    """Where the review does not list just the copies that were sent."""
    copies = {frozenset((before.team, fake.team)) for before, fake in zip(fakes, fakes[1:]) if fake.kind == COPIED}
    listed = {frozenset(one.teams) for one in review(desk).suspects if one.kind == NEAR_COPY}
    problems = [f"{' and '.join(sorted(teams))}: the copy is not in the review" for teams in copies - listed]
    return problems + [f"{' and '.join(sorted(teams))}: are no copies, but in the review" for teams in listed - copies]
