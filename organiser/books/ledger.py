"""The ledger: one SQLite file in WAL mode with entries, scores, choices and the log.

What changes and its line in the log are one transaction: a process that is killed leaves both or neither.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Optional

from contest.errors import UserError
from organiser.books.log import START, make_line
from organiser.books.states import GRAPH, OUTDATED, RECEIVED, SCORED
from organiser.clock import Clock, to_text

_PATIENCE = 30.0  # seconds to wait for another process that writes
_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, team TEXT NOT NULL, file TEXT NOT NULL, sha256 TEXT NOT NULL,
    bytes INTEGER NOT NULL, folder TEXT NOT NULL UNIQUE, received TEXT NOT NULL, state TEXT NOT NULL,
    reason TEXT NOT NULL, since TEXT NOT NULL, scored TEXT, charged TEXT,
    attempts INTEGER NOT NULL DEFAULT 0, receipt INTEGER);
CREATE TABLE IF NOT EXISTS scores (
    sha256 TEXT NOT NULL, scorer TEXT NOT NULL, split TEXT NOT NULL, figures TEXT NOT NULL, report TEXT NOT NULL,
    made TEXT NOT NULL, PRIMARY KEY (sha256, scorer, split));
CREATE TABLE IF NOT EXISTS scorers (version TEXT PRIMARY KEY, parts TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS choices (team TEXT NOT NULL, entry INTEGER NOT NULL, PRIMARY KEY (team, entry));
CREATE TABLE IF NOT EXISTS taken (path TEXT NOT NULL, size INTEGER NOT NULL, mtime INTEGER NOT NULL,
    PRIMARY KEY (path, size, mtime));
CREATE TABLE IF NOT EXISTS looks (sha256 TEXT PRIMARY KEY, pictures TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS log (seq INTEGER PRIMARY KEY, line TEXT NOT NULL, hash TEXT NOT NULL, time TEXT NOT NULL);
CREATE TRIGGER IF NOT EXISTS log_stays BEFORE UPDATE ON log BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER IF NOT EXISTS log_keeps BEFORE DELETE ON log BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER IF NOT EXISTS entries_stay BEFORE DELETE ON entries
    BEGIN SELECT RAISE(ABORT, 'entries are withdrawn, never deleted'); END;
CREATE TRIGGER IF NOT EXISTS scores_stay BEFORE UPDATE ON scores
    BEGIN SELECT RAISE(ABORT, 'one score per archive and scorer'); END;
"""


@dataclass(frozen=True)
class Entry:
    """One archive that a team sent. Times are texts in UTC.

    `charged` is the day (of the event's zone) whose limit it counts against; None: it counts against none. `scored`
    is when it was first scored, `attempts` how often its scoring began, `receipt` the log's line of the taking.
    """

    id: int
    team: str
    file: str
    sha256: str
    bytes: int
    folder: str
    received: str
    state: str
    reason: str
    since: str
    scored: Optional[str]
    charged: Optional[str]
    attempts: int
    receipt: Optional[int]


@dataclass(frozen=True)
class Score:
    """What a scorer gave an archive on one split. `report` is the SHA-256 of its report.json."""

    sha256: str
    scorer: str
    split: str
    figures: dict[str, float]
    report: str
    made: str


_COLUMNS = ", ".join(item.name for item in fields(Entry))


class Ledger:
    """Reads, and writes whole transactions; any thread may. UserError: it is no ledger, or cannot be written."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self._clock = clock
        self._own = threading.local()
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.executescript(_SCHEMA)
        except sqlite3.DatabaseError as error:
            raise UserError(f"{path}: {error}; bring back the ledger, with its -wal file, from a copy") from error

    @property
    def _db(self) -> sqlite3.Connection:
        """This thread's own connection."""
        if not hasattr(self._own, "db"):
            self._own.db = sqlite3.connect(self.path, timeout=_PATIENCE, isolation_level=None)
            self._own.db.execute("PRAGMA synchronous = FULL")
        return self._own.db

    def close(self) -> None:
        """Close this thread's connection; asked again, it opens a new one."""
        if hasattr(self._own, "db"):
            self._own.db.close()
            del self._own.db

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; inside another one, part of it."""
        if self._db.in_transaction:
            yield
            return
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise OSError(None, f"the ledger cannot be written: {error}", str(self.path)) from error

    # entries

    def add(self, team: str, file: str, sha256: str, size: int, folder: str, received: str) -> Entry:
        """A new entry in the state "received"; its line in the log is its receipt."""
        with self.transaction():
            now = to_text(self._clock.now())
            row = (team, file, sha256, size, folder, received, RECEIVED, "", now)
            done = self._db.execute(
                "INSERT INTO entries (team, file, sha256, bytes, folder, received, state, reason, since) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )
            number = int(done.lastrowid or 0)
            seq = self.note("received", entry=number, team=team, sha256=sha256, bytes=size, received=received)
            self._db.execute("UPDATE entries SET receipt = ? WHERE id = ?", (seq, number))
        return self.entry(number)

    def next_id(self) -> int:
        """The number that the next entry will have, inside a transaction."""
        row = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'entries'").fetchone()
        return 1 if row is None else int(row[0]) + 1

    def entry(self, number: int) -> Entry:
        """UserError: there is none of that number."""
        row = self._db.execute(f"SELECT {_COLUMNS} FROM entries WHERE id = ?", (number,)).fetchone()
        if row is None:
            raise UserError(f"no entry {number}; see all with: jdart-organise status --all")
        return Entry(*row)

    def entries(self, *states: str, team: str | None = None) -> list[Entry]:
        """Those in any of the states (all where none is named), in the order in which they came."""
        marks = ", ".join("?" * len(states))
        wanted = [f"state IN ({marks})"] * bool(states) + ["team = ?"] * (team is not None)
        where = f"WHERE {' AND '.join(wanted)}" if wanted else ""
        values = (*states, *([] if team is None else [team]))
        rows = self._db.execute(f"SELECT {_COLUMNS} FROM entries {where} ORDER BY id", values)
        return [Entry(*row) for row in rows]

    def move(self, entry: Entry, state: str, reason: str = "", public: str | None = None, **columns: Any) -> bool:
        """Bring an entry into another state, if it is still in the one that `entry` says; whether it was.

        `reason` is for the organiser and the team, `public` what the log says in its place. ValueError: no such way.
        """
        if state not in GRAPH[entry.state].exits:
            raise ValueError(f"no way from {entry.state} to {state}")
        with self.transaction():
            now = to_text(self._clock.now())
            values = {"state": state, "reason": reason, "since": now, **columns}
            marks = ", ".join(f"{name} = ?" for name in values)
            done = self._db.execute(
                f"UPDATE entries SET {marks} WHERE id = ? AND state = ?", (*values.values(), entry.id, entry.state)
            )
            if done.rowcount != 1:
                return False
            self.note(
                "state", entry=entry.id, before=entry.state, state=state, reason=reason if public is None else public
            )
        return True

    # scores

    def add_score(self, score: Score, public: Mapping[str, Any]) -> None:
        """Note a score once; the log has the hash of its report, and of its figures what is `public`."""
        with self.transaction():
            values = (score.sha256, score.scorer, score.split, json.dumps(score.figures), score.report, score.made)
            self._db.execute("INSERT INTO scores VALUES (?, ?, ?, ?, ?, ?)", values)
            facts = {"sha256": score.sha256, "scorer": score.scorer, "split": score.split, "report": score.report}
            self.note("score", **facts, **public)

    def scores(self, scorer: str, split: str | None = None) -> dict[tuple[str, str], Score]:
        """(archive's SHA-256, split) -> the scorer's score."""
        rows = self._db.execute("SELECT * FROM scores WHERE scorer = ?", (scorer,))
        found = [Score(sha, version, name, json.loads(figures), *rest) for sha, version, name, figures, *rest in rows]
        return {(one.sha256, one.split): one for one in found if split in (None, one.split)}

    def know_scorer(self, version: str, parts: Mapping[str, str]) -> None:
        """Note what a scorer's version is made of."""
        with self.transaction():
            row = (version, json.dumps(parts))
            if self._db.execute("INSERT OR IGNORE INTO scorers VALUES (?, ?)", row).rowcount == 1:
                self.note("scorer", version=version, parts=dict(parts))

    def scorer_parts(self, version: str) -> dict[str, str]:
        row = self._db.execute("SELECT parts FROM scorers WHERE version = ?", (version,)).fetchone()
        return {} if row is None else dict(json.loads(row[0]))

    def put_in_force(self, version: str, entries: Iterable[Entry]) -> None:
        """From now on this scorer's figures count; the entries have them. All in one transaction."""
        with self.transaction():
            self.set("scorer", version)
            self.note("in force", scorer=version)
            for entry in entries:
                if entry.state == OUTDATED:
                    self.move(entry, SCORED)

    # what else is kept

    def choose(self, team: str, numbers: Iterable[int]) -> None:
        with self.transaction():
            chosen = sorted(set(numbers))
            self._db.execute("DELETE FROM choices WHERE team = ?", (team,))
            self._db.executemany("INSERT INTO choices VALUES (?, ?)", [(team, number) for number in chosen])
            self.note("choice", team=team, entries=chosen)

    def choices(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for team, number in self._db.execute("SELECT team, entry FROM choices ORDER BY team, entry"):
            found.setdefault(team, []).append(number)
        return found

    def is_taken(self, path: str, size: int, mtime: int) -> bool:
        row = (path, size, mtime)
        return self._db.execute("SELECT 1 FROM taken WHERE (path, size, mtime) = (?, ?, ?)", row).fetchone() is not None

    def take(self, path: str, size: int, mtime: int) -> None:
        with self.transaction():
            self._db.execute("INSERT OR IGNORE INTO taken VALUES (?, ?, ?)", (path, size, mtime))

    def looks(self) -> dict[str, dict[str, list[int]]]:
        """Archive's SHA-256 -> picture -> difference hashes."""
        return {sha: json.loads(pictures) for sha, pictures in self._db.execute("SELECT * FROM looks")}

    def add_looks(self, sha256: str, pictures: Mapping[str, list[int]]) -> None:
        with self.transaction():
            self._db.execute("INSERT OR REPLACE INTO looks VALUES (?, ?)", (sha256, json.dumps(dict(pictures))))

    def get(self, name: str) -> str | None:
        row = self._db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def set(self, name: str, value: str | None) -> None:
        with self.transaction():
            self._db.execute("DELETE FROM settings WHERE name = ?", (name,))
            if value is not None:
                self._db.execute("INSERT INTO settings VALUES (?, ?)", (name, value))

    # the log

    def note(self, what: str, **facts: Any) -> int:
        """Append a line to the log; its number."""
        with self.transaction():
            row = self._db.execute("SELECT seq, hash, time FROM log ORDER BY seq DESC LIMIT 1").fetchone()
            seq, previous, earlier = (0, START, "") if row is None else row
            time = max(to_text(self._clock.now()), earlier)  # a clock that was set back must not break the chain
            line, digest = make_line(seq + 1, time, what, facts, previous)
            self._db.execute("INSERT INTO log VALUES (?, ?, ?, ?)", (seq + 1, line, digest, time))
        return int(seq) + 1

    def lines(self, before: str | None = None) -> list[str]:
        """The log's lines, those before a time where one is given."""
        rows = self._db.execute("SELECT line, time FROM log ORDER BY seq")
        return [line for line, time in rows if before is None or time < before]

    def line_hash(self, seq: int) -> str:
        return str(self._db.execute("SELECT hash FROM log WHERE seq = ?", (seq,)).fetchone()[0])
