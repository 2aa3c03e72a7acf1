"""A new scorer takes the place of the old one: all its figures first, then all at once, and what that changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from contest.disk.files import write_json
from contest.errors import UserError, first_line
from organiser.books.ledger import Entry, Score
from organiser.books.states import OUTDATED
from organiser.desk import Desk
from organiser.letters import write_state
from organiser.publish import current_board, rescores
from organiser.scorer import EntryScorer, Refused, version_of
from organiser.scoring import add_new, score_archive
from organiser.settings.event import PUBLIC

_SAME = 1e-9  # figures that differ by less are the same; the order of a sum may change


@dataclass(frozen=True)
class Moved:
    """One entry before and after, on the public part. Ranks are those of its team where it is the one that counts."""

    entry: int
    team: str
    changed: bool
    old: dict[str, float]
    new: dict[str, float]
    old_rank: Optional[int]
    new_rank: Optional[int]


def rescore(
    desk: Desk, scorer: EntryScorer, progress: Callable[[int, int], None] = lambda done, total: None
) -> list[Moved]:
    """Score every outdated entry by this scorer, then put it in force; the entries before and after.

    Pictures are looked at again only by networks that have changed: the others' features are in the cache. UserError:
    some could not be scored, so that the old figures stay in force; what was done is kept.
    """
    version, before = version_of(scorer.parts), desk.ledger.get("scorer")
    entries = desk.ledger.entries(OUTDATED)
    if before is None or before == version:
        return []
    wrong = []
    for done, entry in enumerate(entries):
        progress(done, len(entries))
        try:
            _renew(desk, scorer, entry, version)
        except Exception as error:  # as when it is scored: one entry must not stop the others
            kind = "" if isinstance(error, (Refused, UserError)) else f"{type(error).__name__}: "
            wrong.append(f"entry {entry.id}: {kind}{first_line(error)}")
    progress(len(entries), len(entries))
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise UserError(
            f"{'; '.join(wrong[:3])}{more} could not be rescored, so scorer {before} stays in force; "
            "mend it or withdraw them, and run the same command again"
        )
    old_ranks, old = _ranks(desk), desk.ledger.scores(before, PUBLIC)
    desk.ledger.put_in_force(version, entries)
    new_ranks, new = _ranks(desk), desk.ledger.scores(version, PUBLIC)
    moved = [_moved(entry, old, new, old_ranks, new_ranks) for entry in entries]
    _keep(desk, before, version, moved)
    for entry in entries:
        write_state(desk, desk.ledger.entry(entry.id))
    return moved


def _renew(desk: Desk, scorer: EntryScorer, entry: Entry, version: str) -> None:
    scores = score_archive(desk, scorer, entry)
    with desk.ledger.transaction():
        add_new(desk, version, scores)


def _ranks(desk: Desk) -> dict[int, int | None]:
    return {row.entry.id: row.rank for row in current_board(desk).rows}


def _moved(
    entry: Entry,
    old: Mapping[tuple[str, str], Score],
    new: Mapping[tuple[str, str], Score],
    old_ranks: Mapping[int, int | None],
    new_ranks: Mapping[int, int | None],
) -> Moved:
    key = (entry.sha256, PUBLIC)
    before, after = old[key].figures, new[key].figures
    changed = any(abs(before[name] - after[name]) > _SAME for name in after)
    return Moved(entry.id, entry.team, changed, before, after, old_ranks.get(entry.id), new_ranks.get(entry.id))


def _keep(desk: Desk, before: str, version: str, moved: list[Moved]) -> Path:
    old, new = desk.ledger.scorer_parts(before), desk.ledger.scorer_parts(version)
    number = len(rescores(desk)) + 1
    path = desk.folder / "rescores" / f"{number:03d}-{before}-{version}.json"
    value = {
        "schema_version": 1,
        "old": {"version": before, "parts": old},
        "new": {"version": version, "parts": new},
        "because": sorted(name for name in {*old, *new} if old.get(name) != new.get(name)),
        "entries": [dict(vars(one)) for one in moved],
    }
    write_json(path, value)
    return path
