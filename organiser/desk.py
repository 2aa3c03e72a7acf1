"""An event's folder: the rules, the ledger, a folder for every entry, and what goes out.

ledger.sqlite3                         the whole state
entries/0007-1a2b3c4d/archive.zip      what the team sent, never changed
entries/0007-.../reports/<scorer>/<split>/report.json, ...
outbox/<team>/0007-....receipt.json, .findings.txt, .state.json
features/                              the evaluator's cache
site/                                  the board, the standing, the log
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from contest.disk.files import sha256
from contest.disk.shipped import TOY, place_in_run
from contest.errors import UserError, needs
from contest.reading import load_contest, shipped_contests
from organiser.books.ledger import Entry, Ledger
from organiser.books.states import FAILED, RECEIVED, SCORING
from organiser.clock import Clock, SystemClock
from organiser.settings.event import Event
from organiser.settings.reading import read_event
from organiser.settings.split import Prompts, splits_of

if TYPE_CHECKING:
    from contest.definition import Contest

LEDGER = "ledger.sqlite3"
ARCHIVE = "archive.zip"
_LOCK = ".lock"
ATTEMPTS = 3  # so often an entry whose scoring was cut off is taken up by itself; perhaps it is what kills the process


@dataclass(frozen=True)
class Desk:
    """An event's folder, opened. `home` is the folder of the rules, to which the places in them are relative."""

    folder: Path
    home: Path
    event: Event
    ledger: Ledger
    clock: Clock

    @cached_property
    def contest(self) -> Contest:
        """The contest with all its prompts. UserError: it has no styles, or its references are another contest's."""
        name = self.event.contest
        contest = load_contest(name if name in shipped_contests() else self.home / name)
        if contest.story is not None:
            raise UserError(f"contest {contest.name} is one of stories, which have no Final to rank by")
        with needs("eval"):
            from evaluator.inputs.refpack import open_references

            there = open_references(self.references)
        prompts = there.prompts(there.styles)
        if contest.prompts is not None:
            return contest.with_prompts(prompts)
        wrong = [
            style
            for style in {*contest.styles, *prompts}
            if set(contest.styles.get(style, ())) != set(prompts.get(style, ()))
        ]
        if wrong:
            raise UserError(
                f"{self.references}: its prompts are not those of contest {contest.name} in style "
                f"{', '.join(sorted(wrong))}; name the contest's own references"
            )
        return contest

    @cached_property
    def splits(self) -> Mapping[str, Prompts]:
        """The parts of the contest that are scored apart."""
        return splits_of(self.contest, self.event.private)

    @property
    def references(self) -> Path:
        return place_in_run(self.home, self.event.references)

    @property
    def weights(self) -> Path:
        return place_in_run(self.home, self.event.weights)

    @property
    def pictures(self) -> Path | None:
        """The references as pictures, with which entries are compared; None for a pack, which has none."""
        return self.references if self.references.is_dir() or str(self.references) == TOY else None

    @property
    def site(self) -> Path:
        return self.folder / "site"

    @property
    def outbox(self) -> Path:
        return self.folder / "outbox"

    def place(self, entry: Entry) -> Path:
        """The entry's own folder."""
        return self.folder / "entries" / entry.folder

    def archive(self, entry: Entry) -> Path:
        return self.place(entry) / ARCHIVE

    def report(self, entry: Entry, scorer: str, split: str) -> Path:
        """Where the report folder of one scorer and split is."""
        return self.place(entry) / "reports" / scorer / split


def found_desk(rules: Path, folder: Path, clock: Clock | None = None) -> Desk:
    """Make the folder of an event. UserError: the rules cannot be used, or the folder has one already."""
    if (folder / LEDGER).exists():
        raise UserError(f"{folder}: holds an event already; choose another folder")
    event = read_event(rules)
    draft = Desk(folder, rules.parent, event, None, SystemClock() if clock is None else clock)  # type: ignore[arg-type]
    _ = draft.splits  # what is wrong with contest, references and split is said before anything is made
    with needs("eval"):
        from evaluator.profiles import find_profile
        from evaluator.weights.folder import open_weights

        find_profile(event.profile)
        open_weights(draft.weights)
    folder.mkdir(parents=True, exist_ok=True)
    ledger = Ledger(folder / LEDGER, draft.clock)
    with ledger.transaction():
        ledger.set("rules", os.path.relpath(rules.resolve(), folder.resolve()))
        ledger.note("event", title=event.title, contest=draft.contest.name)
        _note_rules(ledger, rules)
    return replace(draft, ledger=ledger)


def open_desk(folder: Path, clock: Clock | None = None) -> Desk:
    """Open the folder of an event; where its rules have changed since, the log says so. UserError: it is none."""
    if not (folder / LEDGER).is_file():
        raise UserError(
            f"{folder}: no event here; make one with: jdart-organise init EVENT.yaml, or name it with --folder"
        )
    clock = SystemClock() if clock is None else clock
    ledger = Ledger(folder / LEDGER, clock)
    place = ledger.get("rules")
    if place is None:
        raise UserError(
            f"{folder}: was not made whole; remove {folder / LEDGER} and make it again with jdart-organise init"
        )
    rules = Path(os.path.normpath(folder.resolve() / place))
    event = read_event(rules)
    _note_rules(ledger, rules)
    return Desk(folder, rules.parent, event, ledger, clock)


@contextmanager
def at_work(desk: Desk) -> Iterator[None]:
    """Alone at the scoring and the board. UserError: another process is at it.

    What an earlier process left half scored, because it was killed, is taken up again: no fault of the team.
    """
    import fcntl

    with open(desk.folder / _LOCK, "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # falls with the process, however that ends
        except OSError as error:
            raise UserError(
                f"{desk.folder}: another jdart-organise is at work here, and will see to it; wait, or stop it first"
            ) from error
        for entry in desk.ledger.entries(SCORING):
            desk.ledger.move(entry, FAILED, "its scoring was cut off")
        take_up(desk)
        yield


def take_up(desk: Desk) -> list[Entry]:
    """Bring entries that failed by no fault of their team back to the beginning, unless they failed too often."""
    failed = [entry for entry in desk.ledger.entries(FAILED) if entry.attempts < ATTEMPTS]
    return [entry for entry in failed if desk.ledger.move(entry, RECEIVED, "taken up again")]


def _note_rules(ledger: Ledger, rules: Path) -> None:
    digest = sha256(rules)
    if ledger.get("rules sha256") != digest:
        with ledger.transaction():
            ledger.set("rules sha256", digest)
            ledger.note("rules", sha256=digest)
