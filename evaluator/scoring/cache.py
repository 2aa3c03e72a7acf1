"""Notes that need not be taken again: one SQLite file, shared by any number of processes.

A key says everything that a value depends on, so an entry is never out of date; and each carries a checksum, so a
damaged one is never believed. Whatever is wrong with the file costs time and nothing else.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from contest.disk.places import NO_CACHE, user_cache
from contest.errors import UserError
from evaluator.extractors.base import Arrays

FILE = "features.sqlite3"

_log = logging.getLogger(__name__)
_AT_ONCE = 500  # keys per query: SQLite takes 999
_PATIENCE = 30.0  # seconds to wait for another process that writes
_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries
    (key TEXT PRIMARY KEY, kind TEXT NOT NULL, value BLOB NOT NULL, checksum BLOB NOT NULL, made REAL NOT NULL)
"""


def open_cache(place: str | os.PathLike[str] | bool) -> Cache:
    """The cache in a folder; True is the user's own, False one that remembers nothing."""
    if not isinstance(place, bool):
        return Cache(Path(place))
    folder = user_cache() if place else None
    if place and folder is None:
        _log.warning("nothing is cached: %s", NO_CACHE)
    return Cache(folder)


def key_of(*parts: str) -> str:
    """One key from texts that together say what a value depends on."""
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode()
        digest.update(len(raw).to_bytes(8, "little") + raw)
    return digest.hexdigest()


@dataclass(frozen=True)
class Kind:
    """How many entries of one kind there are, and their bytes."""

    name: str
    entries: int
    size: int


class Cache:
    """Values by key. With no folder it remembers nothing.

    A file that is no cache is set aside; one that cannot be written (read-only, full, locked) is left alone, once
    with a warning in the log, and the work goes on without it.
    """

    def __init__(self, folder: Path | None) -> None:
        self.path = None if folder is None else folder / FILE
        self._asked = self.path is not None

    def get(self, keys: Iterable[str]) -> dict[str, bytes]:
        """The values that are there and whole."""
        found: dict[str, bytes] = {}
        wanted = list(dict.fromkeys(keys))

        def read(database: sqlite3.Connection) -> None:
            for start in range(0, len(wanted), _AT_ONCE):
                part = wanted[start : start + _AT_ONCE]
                marks = ",".join("?" * len(part))
                rows = database.execute(f"SELECT key, kind, value, checksum FROM entries WHERE key IN ({marks})", part)
                for key, kind, value, checksum in rows:
                    if _checksum(key, kind, value) == checksum:
                        found[key] = value

        if wanted:
            self._attempt(read)
        return found

    def put(self, kind: str, values: Mapping[str, bytes]) -> None:
        """Keep values; the same key always has the same value, so the last writer may win."""
        now = time.time()
        rows = [(key, kind, value, _checksum(key, kind, value), now) for key, value in values.items()]

        def write(database: sqlite3.Connection) -> None:
            with database:
                database.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?)", rows)

        if rows:
            self._attempt(write)

    def get_arrays(self, keys: Iterable[str]) -> dict[str, Arrays]:
        """Like `get`, for what `put_arrays` kept."""
        return {key: _to_arrays(value) for key, value in self.get(keys).items()}

    def put_arrays(self, kind: str, values: Mapping[str, Arrays]) -> None:
        """Keep named arrays of any shapes and of plain numbers."""
        self.put(kind, {key: _to_bytes(value) for key, value in values.items()})

    def kinds(self) -> list[Kind]:
        """What is kept, by kind. Raises UserError for a file that is no cache."""
        with self._opened() as database:
            query = "SELECT kind, COUNT(*), SUM(LENGTH(value)) FROM entries GROUP BY kind ORDER BY kind"
            return [Kind(*row) for row in database.execute(query)]

    def clear(self, older_than: float = 0.0) -> int:
        """Forget entries made more than so many seconds ago; how many they were."""
        with self._opened() as database:
            with database:
                gone = database.execute("DELETE FROM entries WHERE made <= ?", (time.time() - older_than,)).rowcount
            database.execute("VACUUM")
        return gone

    def verify(self) -> tuple[int, int]:
        """(entries, damaged ones): reads everything, and forgets what is damaged."""
        with self._opened() as database:
            rows = database.execute("SELECT rowid, key, kind, value, checksum FROM entries")
            count, damaged = 0, []
            for rowid, key, kind, value, checksum in rows:
                count += 1
                if _checksum(key, kind, value) != checksum:
                    damaged.append((rowid,))
            with database:
                database.executemany("DELETE FROM entries WHERE rowid = ?", damaged)
        return count, len(damaged)

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """For commands about the cache itself, which say what is wrong with it."""
        assert self.path is not None
        try:
            with closing(self._connect(self.path)) as database:
                yield database
        except sqlite3.OperationalError as error:
            raise UserError(f"{self.path}: {error}; is it in use, or not writable?") from error
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            raise UserError(f"{self.path}: not a cache ({error}); delete it, it costs only time") from error

    def _attempt(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Do it with the database, as far as that works."""
        if self.path is None or not self._asked:
            return
        try:
            with closing(self._connect(self.path)) as database:
                work(database)
        except (sqlite3.OperationalError, OSError) as error:
            self._do_without(str(error))
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # the words of an error quote what is damaged
            self._set_aside(str(error))

    @staticmethod
    def _connect(path: Path) -> sqlite3.Connection:
        path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(path, timeout=_PATIENCE)
        database.text_factory = lambda raw: raw.decode("utf-8", "replace")  # damaged text fails its checksum later
        try:
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute(_SCHEMA)
        except BaseException:
            database.close()
            raise
        return database

    def _set_aside(self, problem: str) -> None:
        assert self.path is not None
        place = self.path.with_name(f"{FILE}.damaged-{time.time_ns()}")
        try:
            self.path.replace(place)
            _log.warning("%s is damaged (%s) and was set aside as %s", self.path, problem, place.name)
        except OSError as error:
            self._do_without(str(error))

    def _do_without(self, problem: str) -> None:
        self._asked = False
        _log.warning("%s cannot be used (%s); going on without it", self.path, problem)


def _checksum(key: str, kind: str, value: bytes) -> bytes:
    if not isinstance(value, bytes):
        return b""  # a damaged file can give a value of another type
    return hashlib.blake2b(value, digest_size=16, key=hashlib.sha256(f"{key} {kind}".encode()).digest()).digest()


def _to_bytes(arrays: Arrays) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def _to_arrays(data: bytes) -> Arrays:
    with np.load(io.BytesIO(data), allow_pickle=False) as stored:
        return dict(stored)
