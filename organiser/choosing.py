"""Which entries a team wants to count."""

from __future__ import annotations

from collections.abc import Sequence

from contest.errors import UserError
from organiser.desk import Desk
from organiser.settings.event import CHOSEN


def choose(desk: Desk, team: str, numbers: Sequence[int]) -> None:
    """Note a choice in place of an earlier one. UserError: not as the rules have it, or too late."""
    event = desk.event
    if event.counts != CHOSEN:
        raise UserError(f"nothing is chosen where the rules say counts: {event.counts}")
    if len(set(numbers)) > event.chosen:
        raise UserError(f"a team may choose {event.chosen} entries, not {len(set(numbers))}")
    if desk.ledger.get("final") is not None:
        raise UserError("the final standing is out; nothing can be chosen any more")
    for number in numbers:
        if desk.ledger.entry(number).team != team:
            raise UserError(f"entry {number} is not one of {team}")
    desk.ledger.choose(team, numbers)
