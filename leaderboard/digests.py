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
_NONE: dict[str, list[object]] = {}
_Notes = dict[str, dict[str, list[object]]]  # folder -> name -> inode, size, time of change, note


class Digests:
    """Notes on files by folder and name, good as long as inode, size and time of change are the same.

    They only save time: without them every file is read once, and the site is the same.
    """

    def __init__(self, place: Path | None = None) -> None:
        self._place = place
        self._known: _Notes = {} if place is None else _load(place)
        self._used: _Notes = {}
        self._absolute: dict[str, str] = {}  # the next build may be told of a folder from elsewhere

    @classmethod
    def of_site(cls, folder: Path) -> Digests:
        """The notes of the sources of one site, in the user's cache: they are no part of what is published."""
        name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:20]
        return cls(default_folder() / "board" / f"{name}.json")

    def note(self, folder: str, name: str, stat: os.stat_result, make: Callable[[bytes], str]) -> str:
        """`make(contents)` of a file, from the notes where it has not changed."""
        if folder not in self._absolute:
            self._absolute[folder] = os.path.abspath(folder)
        folder = self._absolute[folder]
        key = [stat.st_ino, stat.st_size, stat.st_mtime_ns]
        known = self._known.get(folder, _NONE).get(name)
        if known is None or known[:3] != key or not isinstance(known[3], str):
            with open(os.path.join(folder, name), "rb") as stream:
                known = [*key, make(stream.read())]
        self._used.setdefault(folder, {})[name] = known
        return str(known[3])

    def sha256(self, path: Path) -> str:
        """SHA-256 of a file's contents."""
        folder, name = os.path.split(path)
        return self.note(folder, name, path.stat(), lambda data: hashlib.sha256(data).hexdigest())

    def save(self) -> None:
        """Keep the notes on the files that were asked for. A cache that cannot be written is done without."""
        if self._place is None or self._used == self._known:
            return
        try:
            with atomic_write(self._place, "w") as stream:
                stream.write(json.dumps({"version": _VERSION, "folders": self._used}))
        except (OSError, ValueError) as error:  # ValueError: a name that is no text
            _log.warning("%s: cannot be written (%s); the next build reads every file again", self._place, error)


def _load(place: Path) -> _Notes:
    try:
        data = json.loads(place.read_text("utf-8"))
        if data["version"] != _VERSION:
            return {}
        return {
            folder: {name: note for name, note in notes.items() if isinstance(note, list) and len(note) == 4}
            for folder, notes in data["folders"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
