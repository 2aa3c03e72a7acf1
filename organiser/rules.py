"""The event's rules as pure functions: who may send, which entry counts, who is ahead. Failures never rank."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Optional

from organiser.books.ledger import Entry, Score
from organiser.books.states import QUEUED, RECEIVED, SCORING, WITH_SCORE
from organiser.clock import from_text
from organiser.settings.event import CHOSEN, DROP, EARLIER, LAST, LOWER_IS_BETTER, PUBLIC, Event

WORDS = {
    "best": "of each team the entry with the best public Final counts",
    "last": "of each team the last scored entry counts",
    "chosen": "of each team the better of its chosen entries counts, or of its best public ones where it chose none",
}


@dataclass(frozen=True)
class Standing:
    """A team's place. `rank` is None for a baseline; `tied`: not even the rules for ties tell it from another."""

    team: str
    entry: Entry
    figures: Mapping[str, float]
    rank: Optional[int]
    tied: bool = False
    entries: int = 1


def lateness(event: Event, entry: Entry) -> str | None:
    """Why the entry came too late, or None."""
    deadline = event.deadline_of(entry.team)
    if deadline is None or from_text(entry.received) <= deadline:
        return None
    return f"received {event.told(from_text(entry.received))}, after the deadline {event.told(deadline)}"


def dropped(event: Event, entry: Entry, now: str) -> str | None:
    """Why a good entry is not scored any more, or None: by the rule `pending: drop`."""
    deadline = event.deadline_of(entry.team)
    if event.pending != DROP or deadline is None or from_text(now) <= deadline:
        return None
    return f"was not scored by the deadline {event.told(deadline)}, and the rule is pending: drop"


def excess(event: Event, entry: Entry, others: Sequence[Entry]) -> str | None:
    """Why the entry is more than its team has a day, or None.

    Counted are entries of the same day that are charged, or will be when they are scored: what failed is not.
    """
    limit = event.limit_of(entry.team)
    if limit is None or entry.charged is not None or entry.team in event.baselines:
        return None
    day = event.day_of(from_text(entry.received))
    used = sum(
        one.charged == day
        or (
            one.charged is None
            and one.state in (RECEIVED, QUEUED, SCORING)
            and event.day_of(from_text(one.received)) == day
        )
        for one in others
        if one.team == entry.team and one.id < entry.id
    )
    return f"{limit} entries of {day} are used" if used >= limit else None


def standing(
    event: Event,
    entries: Sequence[Entry],
    scores: Mapping[tuple[str, str], Score],
    choices: Mapping[str, Sequence[int]],
    split: str = PUBLIC,
    before: str | None = None,
) -> list[Standing]:
    """The teams, best first, by the figures of a split; with `before` only of entries scored before that time.

    `scores` are those of one scorer. What has no finite Final, in the public part too, has no place.
    """
    by_team: dict[str, list[Entry]] = {}
    for entry in entries:
        seen = entry.scored is not None and (before is None or entry.scored < before)
        if (
            entry.state in WITH_SCORE
            and seen
            and _is_scored(scores, entry, split)
            and _is_scored(scores, entry, PUBLIC)
        ):
            by_team.setdefault(entry.team, []).append(entry)
    rows = []
    for team, own in by_team.items():
        counting = _counting(event, own, scores, choices.get(team, ()), split)
        rows.append(Standing(team, counting, scores[counting.sha256, split].figures, None, entries=len(own)))
    rows.sort(key=lambda row: (_key(event, row), row.team in event.baselines, row.team))
    return _ranked(event, rows)


def _counting(
    event: Event, own: Sequence[Entry], scores: Mapping[tuple[str, str], Score], chosen: Sequence[int], split: str
) -> Entry:
    """The one entry of a team that counts."""

    def final(entry: Entry, part: str) -> float:
        return round(scores[entry.sha256, part].figures["final"], event.decimals)

    if event.counts == LAST:
        return max(own, key=lambda entry: entry.id)
    best_first = sorted(own, key=lambda entry: (-final(entry, PUBLIC), entry.id))
    if event.counts != CHOSEN:
        return best_first[0]
    wanted = [entry for entry in own if entry.id in chosen]
    few = wanted if wanted else best_first[: event.chosen]
    return min(few, key=lambda entry: (-final(entry, split), entry.id))


def _key(event: Event, row: Standing) -> tuple[float | str, ...]:
    """What is compared, the smaller the better: Final, then the rules for ties."""
    final = round(row.figures["final"], event.decimals)
    return (-final, *(_tie(event, row, name) for name in event.ties))


def _tie(event: Event, row: Standing, name: str) -> float | str:
    if name == EARLIER:
        return row.entry.received
    value = round(row.figures[name], event.decimals)
    return value if name in LOWER_IS_BETTER else -value


def _ranked(event: Event, rows: Sequence[Standing]) -> list[Standing]:
    """With ranks: equal rows share one, and the next is left out; baselines are passed over."""
    keys = [_key(event, row) for row in rows if row.team not in event.baselines]
    return [
        row
        if row.team in event.baselines
        else replace(row, rank=keys.index(_key(event, row)) + 1, tied=keys.count(_key(event, row)) > 1)
        for row in rows
    ]


def _is_scored(scores: Mapping[tuple[str, str], Score], entry: Entry, split: str) -> bool:
    score = scores.get((entry.sha256, split))
    return score is not None and math.isfinite(score.figures["final"])


def in_words(event: Event) -> list[str]:
    """The rules as sentences, for the page."""
    lines = [
        WORDS[event.counts] if event.counts != CHOSEN else f"a team may choose {event.chosen}; {WORDS[event.counts]}"
    ]
    names = ["the earlier one" if name == EARLIER else _direction(name) for name in event.ties]
    tie = f"Finals that are equal to {event.decimals} decimals are a tie"
    lines.append(f"{tie}; ahead is, in this order: {', then '.join(names)}" if names else f"{tie}, and share the rank")
    if event.per_day is not None:
        entries = "entry" if event.per_day == 1 else "entries"
        lines.append(f"{event.per_day} scored {entries} a team and day; what is refused or fails is not charged")
    if event.deadline is not None:
        what = "is dropped" if event.pending == DROP else "is still scored"
        lines.append(f"deadline {event.told(event.deadline)}; what was received before it and not scored {what}")
    if event.freeze is not None:
        lines.append(f"this board stands still from {event.told(event.freeze)} to the end")
    if event.private is not None:
        lines.append("the final standing is made of a hidden part of the pictures; the public one of the others")
    if event.reproduction is not None:
        rule = event.reproduction
        lines.append(
            f"an entry may be drawn again by its own settings, {rule.pictures} pictures a style: a picture is "
            f"reproduced when it differs by at most {rule.difference:g} of 255 on average, the entry when "
            f"{rule.share:.0%} of the pictures are"
        )
    if event.exceptions:
        lines.append(f"there are exceptions for {', '.join(sorted(event.exceptions))}")
    return lines


def _direction(name: str) -> str:
    return f"the {'lower' if name in LOWER_IS_BETTER else 'higher'} {name}"
