"""What the files of one entry hold, noted by one build for the next: a file that has not changed is not read again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from leaderboard.reading.stamps import settled, stamp_of

Known = Mapping[str, Mapping[str, Any]]  # folder -> name -> (stamp, note)


class Digests:
    """Notes by folder and name, good as long as a file's stamp is the same. `used` are those that were asked for."""

    def __init__(self, known: Known | None = None) -> None:
        self.known: Known = {} if known is None else known
        self.used: dict[str, dict[str, Any]] = {}

    def of_folder(self, folder: str, make: Callable[[bytes], str]) -> Callable[[str, os.stat_result], str]:
        """What gives `make(contents)` of a folder's files by name, from the notes where a file has not changed."""
        folder = os.path.abspath(folder)  # the next build may be told of it from elsewhere
        known, used = self.known.get(folder, {}), self.used.setdefault(folder, {})

        def note(name: str, found: os.stat_result) -> str:
            now = [*stamp_of(found)]
            kept = known.get(name)
            if kept is None or kept[0] != now:
                with open(os.path.join(folder, name), "rb") as stream:
                    kept = [now, make(stream.read())]
            used[name] = kept
            return str(kept[1])

        return note

    def sha256(self, path: Path) -> str:
        """SHA-256 of a file's contents."""
        folder, name = os.path.split(path)
        return self.of_folder(folder, lambda data: hashlib.sha256(data).hexdigest())(name, path.stat())

    def settled(self) -> dict[str, dict[str, Any]]:
        """The notes that may be kept: those on files of which a later change will show."""
        return {
            folder: {name: note for name, note in notes.items() if settled([note[0]])}
            for folder, notes in self.used.items()
        }
