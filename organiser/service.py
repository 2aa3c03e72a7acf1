"""The evening as a loop: look at the drop folder, take and check what is there, score one entry, look again.

So a receipt never waits for more than one scoring, however long the queue is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from contest.errors import UserError, first_line
from organiser.books.ledger import Entry
from organiser.books.states import QUEUED, SCORED
from organiser.desk import Desk, take_up
from organiser.intake import Inbox, check_received, take
from organiser.publish import Board, publish
from organiser.scorer import EntryScorer
from organiser.scoring import meet_scorer, score_next

EVERY = 60.0  # seconds between two boards while entries are being scored, and between two tries of what failed
PATIENCE = 60.0  # seconds that one call waits for files that keep growing
POLL = 2.0  # seconds between two looks of `--watch`


@dataclass(frozen=True)
class Happening:
    """One thing that happened: `what` is "entry" (it has a new state), "board", "not taken" or "growing"."""

    what: str
    entry: Optional[Entry] = None
    board: Optional[Board] = None
    said: str = ""


def work(
    desk: Desk, inbox: Inbox | None, make_scorer: Callable[[Desk], EntryScorer], watch: bool = False
) -> Iterator[Happening]:
    """Take, check, score and publish until nothing is left to do; with `watch`, for ever.

    UserError: the scorer has changed since the scores that count, so that nothing is scored before `rescore`.
    """
    scorer: Optional[EntryScorer] = None
    changed = False
    failed: dict[
        Path, float
    ] = {}  # what could not be taken -> when that was; on a full disk it would be tried for ever
    published = tried = idle_since = desk.clock.now().timestamp()
    while True:
        settled, growing = ([], []) if inbox is None else inbox.look(desk)
        settled = [path for path in settled if abs(desk.clock.now().timestamp() - failed.get(path, 0.0)) >= EVERY]
        for path in settled:
            try:
                assert inbox is not None
                take(desk, path, inbox.team_of(path))
            except (OSError, UserError) as error:
                failed[path] = desk.clock.now().timestamp()
                yield Happening("not taken", said=f"{path}: {first_line(error)}")
        checked = check_received(desk)
        yield from (Happening("entry", entry) for entry in checked)
        if scorer is None and desk.ledger.entries(QUEUED):
            scorer = make_scorer(desk)
            require_in_force(desk, scorer)
        entry = None if scorer is None else score_next(desk, scorer)
        if entry is not None:
            changed = changed or entry.state == SCORED
            yield Happening("entry", entry)
        now = desk.clock.now().timestamp()
        published, tried, idle_since = (min(now, one) for one in (published, tried, idle_since))  # it may be set back
        if (changed and (entry is None or now - published >= EVERY)) or (watch and now - published >= EVERY):
            yield Happening("board", board=publish(desk))
            changed, published = False, desk.clock.now().timestamp()
        if settled or checked or entry is not None:
            idle_since = now
            continue
        if watch and now - tried >= EVERY:
            take_up(desk)
            tried = now
        if not watch and (not growing or now - idle_since >= PATIENCE):
            yield from (Happening("growing", said=str(path)) for path in growing)
            return
        desk.clock.sleep(POLL if inbox is None else max(inbox.settle, 0.1))


def require_in_force(desk: Desk, scorer: EntryScorer) -> None:
    """UserError: the scorer is another than the one whose figures count."""
    changed = meet_scorer(desk, scorer.parts)
    if changed:
        waiting = len(desk.ledger.entries(QUEUED))
        raise UserError(
            f"the scorer has changed ({', '.join(changed)}); nothing is scored, {waiting} entries wait; "
            "renew the old scores first: jdart-organise rescore"
        )
