"""What a build keeps for the next one, so that it need not read again what has not changed.

Notes only save time: without them everything is read, and the site is the same. They lie in the user's cache, a file an
entry and one of the site. Every line of a file begins with a checksum, so that one that was cut off counts as none.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from contest.disk.files import parse_json
from contest.disk.places import NO_CACHE, user_cache
from leaderboard.code import code_digest
from leaderboard.reading.digests import Digests
from leaderboard.reading.stamps import Stamp, settled, unchanged

_log = logging.getLogger(__name__)
_SITE = "site"
_BROKEN = (OSError, ValueError, KeyError, TypeError, AttributeError)


@dataclass(frozen=True)
class Note:
    """What was made of one entry, and the stamps of all that it was read from."""

    brief: Optional[Mapping[str, Any]] = None
    stamps: Mapping[str, Optional[Stamp]] = field(default_factory=dict)

    def holds(self) -> bool:
        """Whether the entry is as it was. Its documents are looked at, and of its thumbnails the folders."""
        return self.brief is not None and unchanged(self.stamps.items())


class Notes:
    """The notes of one site; without a folder there are none, and none are kept."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    @classmethod
    def of_site(cls, folder: Path) -> Notes:
        """Those of the site in a folder. They are in the user's cache, as they are no part of what is published."""
        cache = user_cache()
        if cache is None:
            _log.warning("the next build reads every file again: %s", NO_CACHE)
            return cls()
        return cls(cache / "board" / hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:20])

    def of(self, report: Path) -> Note:
        """What was noted of the entry of a report.json; nothing where that was by other code."""
        try:
            data = self._lines(_name(report), 1)[0]
            return Note(data["brief"], {path: one and tuple(one) for path, one in data["stamps"].items()})
        except _BROKEN:
            return Note()

    def digests(self, report: Path) -> Digests:
        """What was noted of the files of an entry."""
        try:
            return Digests(self._lines(_name(report), 2)[1])
        except _BROKEN:
            return Digests()

    def keep(self, report: Path, note: Note, digests: Digests) -> None:
        """Note an entry, as far as a later change of it will show."""
        head = {"brief": note.brief if settled(note.stamps.values()) else None, "stamps": note.stamps}
        with suppress(*_BROKEN):
            if digests.used == digests.known and self._lines(_name(report), 1) == [parse_json(json.dumps(head))]:
                return
        self._write(_name(report), head, digests.settled())

    def site(self) -> Any:
        """What was noted of the site; None without that."""
        try:
            return self._lines(_SITE, 1)[0]
        except _BROKEN:
            return None

    def keep_site(self, value: Any, reports: list[Path]) -> None:
        """Note something of the site, and forget all entries but those of these report.json."""
        self._write(_SITE, value)
        if self._folder is not None:
            with suppress(OSError):
                for name in {*os.listdir(self._folder)} - {_SITE, *map(_name, reports)}:
                    (self._folder / name).unlink(missing_ok=True)

    def _lines(self, name: str, count: int) -> list[Any]:
        """The first lines of a note. Any of `_BROKEN`: there are none, or not as this code wrote them."""
        if self._folder is None:
            raise OSError
        with open(self._folder / name, encoding="utf-8") as stream:
            lines = [stream.readline().partition(" ") for _ in range(count)]
        if any(_checksum(text) != checksum for checksum, _, text in lines):
            raise ValueError
        return [parse_json(text) for _, _, text in lines]

    def _write(self, name: str, *values: Any) -> None:
        if self._folder is None:
            return
        lines = [f"{json.dumps(value)}\n" for value in values]
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / name).write_text("".join(f"{_checksum(line)} {line}" for line in lines), "utf-8")
        except OSError as error:
            _log.warning("%s: cannot be written (%s); the next build reads every file again", self._folder, error)
            self._folder = None


def _name(report: Path) -> str:
    return hashlib.sha256(os.fsencode(os.path.abspath(report))).hexdigest()[:20]


def _checksum(line: str) -> str:
    return hashlib.sha256(f"{code_digest()}{line}".encode()).hexdigest()
