"""The states of an entry, and every way out of each: a graph as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

RECEIVED, QUEUED, SCORING, SCORED, OUTDATED = "received", "queued", "scoring", "scored", "outdated"
REFUSED, LATE, OVER_LIMIT, DUPLICATE, FAILED = "refused", "late", "over limit", "duplicate", "failed"
WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class State:
    """What a state means to the team, what happens next, and its exits: the state after -> the command for it."""

    meaning: str
    next: str
    exits: Mapping[str, str]


def _state(meaning: str, next: str, **exits: str) -> State:
    named = {name.replace("_", " "): command for name, command in exits.items()}
    return State(meaning, next, MappingProxyType({**named, WITHDRAWN: "withdraw"}))


_AGAIN = {"received": "retry"}

GRAPH: Mapping[str, State] = MappingProxyType(
    {
        RECEIVED: _state(
            "taken, not checked yet",
            "it is checked",
            refused="receive",
            late="receive",
            over_limit="receive",
            duplicate="receive",
            queued="receive",
            failed="receive",
        ),
        QUEUED: _state("good, waits to be scored", "it is scored", scoring="receive", late="receive"),
        SCORING: _state("being scored", "its score", scored="receive", refused="receive", failed="receive"),
        SCORED: _state("scored", "it is on the board, as the rules say", outdated="rescore"),
        OUTDATED: _state(
            "scored by an earlier scorer, whose figures count until all are renewed",
            "it is scored anew by the organiser's rescore",
            scored="rescore",
        ),
        REFUSED: _state("breaks the rules; not charged", "mend what the findings say and send it again", **_AGAIN),
        LATE: _state("came after the deadline; not charged", "ask the organiser for an exception", **_AGAIN),
        OVER_LIMIT: _state(
            "more than the limit a day; not charged", "send it on another day, or ask for an exception", **_AGAIN
        ),
        DUPLICATE: _state(
            "the same archive as an earlier entry of the team; not charged", "nothing: the earlier one counts", **_AGAIN
        ),
        FAILED: _state(
            "could not be handled, by no fault of the team; not charged", "the next receive takes it up", **_AGAIN
        ),
        WITHDRAWN: State(
            "withdrawn, and kept", "nothing, unless the organiser takes it back", MappingProxyType(_AGAIN)
        ),
    }
)

LIVE = (RECEIVED, QUEUED, SCORING, SCORED, OUTDATED, FAILED)  # on the way to a score, or with one
WITH_SCORE = (SCORED, OUTDATED)
PENDING = (RECEIVED, QUEUED, SCORING, FAILED)
