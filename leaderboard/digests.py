"""What files hold, remembered from one build to the next: a file that has not changed is not read again."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

from submission.files import atomic_write
from submission.shipped import default_folder

_log = logging.getLogger(__name__)
_VERSION = 1  # of the notes below; others are passed over


class Digests:
    """Notes on files by path, good as long as inode, size and time of change are the same.

    They only save time: without them every file is read once, and the site is the same.
    """

    def __init__(self, place: Path | None = None) -> None:
        self._place = place
        self._known: dict[str, list[object]] = {} if place is None else _load(place)
        self._used: dict[str, list[object]] = {}

    @classmethod
    def of_site(cls, folder: Path) -> Digests:
        """The notes of the sources of one site, in the user's cache: they are no part of what is published."""
        name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:20]
        return cls(default_folder() / "board" / f"{name}.json")

    def note(self, path: str, stat: os.stat_result, make: Callable[[bytes], str]) -> str:
        """`make(contents)` of a file, from the notes where it has not changed."""
        key = [stat.st_ino, stat.st_size, stat.st_mtime_ns]
        known = self._known.get(path)
        if known is None or known[:3] != key or not isinstance(known[3], str):
            with open(path, "rb") as stream:
                known = [*key, make(stream.read())]
        self._used[path] = known
        return str(known[3])

    def sha256(self, path: Path) -> str:
        """SHA-256 of a file's contents."""
        return self.note(str(path), path.stat(), lambda data: hashlib.sha256(data).hexdigest())

    def save(self) -> None:
        """Keep the notes on the files that were asked for. A cache that cannot be written is done without."""
        if self._place is None or self._used == self._known:
            return
        folders: dict[str, dict[str, list[object]]] = {}
        for path, note in self._used.items():
            folder, name = os.path.split(path)
            folders.setdefault(folder, {})[name] = note
        try:
            with atomic_write(self._place, "w") as stream:
                stream.write(json.dumps({"version": _VERSION, "folders": folders}))
        except (OSError, ValueError) as error:  # ValueError: a name that is no text
            _log.warning("%s: cannot be written (%s); the next build reads every file again", self._place, error)


def _load(place: Path) -> dict[str, list[object]]:
    try:
        data = json.loads(place.read_text("utf-8"))
        if data["version"] != _VERSION:
            return {}
        return {
            os.path.join(folder, name): note
            for folder, notes in data["folders"].items()
            for name, note in notes.items()
            if isinstance(note, list) and len(note) == 4
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
