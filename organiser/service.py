"""The evening as a loop: look at the drop folder, check what was taken, score one entry, renew the board, look again.

While that goes on the door stays open (`organiser.reception`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Optional

from contest.errors import UserError
from organiser.books.ledger import Entry
from organiser.books.states import QUEUED, SCORED
from organiser.desk import Desk, take_up
from organiser.intake import Inbox
from organiser.publish import Board, publish
from organiser.reception import EVERY, POLL, Happening, Reception
from organiser.scorer import EntryScorer
from organiser.scoring import meet_scorer, score_next

PATIENCE = 60.0  # seconds that one call waits for files that keep growing


def work(
    desk: Desk, inbox: Inbox | None, make_scorer: Callable[[Desk], EntryScorer], watch: bool = False
) -> Iterator[Happening]:
    """Take, check, score and publish until nothing is left to do; with `watch`, for ever.

    UserError: the scorer has changed since the scores that count, so that nothing is scored before `rescore`.
    """
    door = Reception(desk, inbox)
    scorer: Optional[EntryScorer] = None
    changed = False
    published = tried = idle_since = desk.clock.now().timestamp()
    while True:
        door.look()
        if scorer is None or not desk.ledger.entries(QUEUED):  # else it is done while that is scored
            with door.open_while(checking=False):
                while door.check_next() and scorer is None:
                    pass
        moved, told = door.told()
        yield from told
        entry: Optional[Entry] = None
        board: Optional[Board] = None
        with door.open_while(checking=True):
            if scorer is None and desk.ledger.entries(QUEUED):
                scorer = make_scorer(desk)
                require_in_force(desk, scorer)
            entry = None if scorer is None else score_next(desk, scorer)
            changed = changed or (entry is not None and entry.state == SCORED)
            now = desk.clock.now().timestamp()
            published, tried, idle_since = (
                min(now, one) for one in (published, tried, idle_since)
            )  # it may be set back
            if (changed and (entry is None or now - published >= EVERY)) or (watch and now - published >= EVERY):
                board = publish(desk)
                changed, published = False, desk.clock.now().timestamp()
        if entry is not None:
            yield Happening("entry", entry)
        if board is not None:
            yield Happening("board", board=board)
        moved_then, told_then = door.told()
        yield from told_then
        if moved or told or entry is not None or moved_then or told_then:
            idle_since = now
            continue
        if watch and now - tried >= EVERY:
            take_up(desk)
            tried = now
        if not watch and (not door.growing or now - idle_since >= PATIENCE):
            yield from (Happening("growing", said=str(path)) for path in door.growing)
            return
        desk.clock.sleep(POLL)


def require_in_force(desk: Desk, scorer: EntryScorer) -> None:
    """UserError: the scorer is another than the one whose figures count."""
    changed = meet_scorer(desk, scorer.parts)
    if changed:
        waiting = len(desk.ledger.entries(QUEUED))
        raise UserError(
            f"the scorer has changed ({', '.join(changed)}); nothing is scored, {waiting} entries wait; "
            "renew the old scores first: jdart-organise rescore"
        )
