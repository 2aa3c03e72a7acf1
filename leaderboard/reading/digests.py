"""What files hold, remembered from one build to the next: a file that has not changed is not read again."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from contest.disk.files import atomic_write, parse_json
from contest.disk.places import NO_CACHE, user_cache

_log = logging.getLogger(__name__)
_VERSION = 1  # of the notes below; others are passed over
_Notes = dict[str, dict[str, list[Any]]]  # folder -> name -> inode, size, time of change, note


class Digests:
    """Notes on files by folder and name, good as long as inode, size and time of change are the same.

    They only save time: without them every file is read once, and the site is the same.
    """

    def __init__(self, place: Path | None = None) -> None:
        self._place = place
        self._known: _Notes = {} if place is None else _load(place)
        self._used: _Notes = {}

    @classmethod
    def of_site(cls, folder: Path) -> Digests:
        """The notes of the sources of one site, in the user's cache: they are no part of what is published."""
        cache = user_cache()
        if cache is None:
            _log.warning("the next build reads every file again: %s", NO_CACHE)
            return cls()
        name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:20]
        return cls(cache / "board" / f"{name}.json")

    def of_folder(self, folder: str, make: Callable[[bytes], str]) -> Callable[[str, os.stat_result], str]:
        """What gives `make(contents)` of a folder's files by name, from the notes where a file has not changed."""
        folder = os.path.abspath(folder)  # the next build may be told of it from elsewhere
        known, used = self._known.get(folder, {}), self._used.setdefault(folder, {})

        def note(name: str, stat: os.stat_result) -> str:
            inode, size, changed = stat.st_ino, stat.st_size, stat.st_mtime_ns
            found = known.get(name)
            if found is None or found[0] != inode or found[1] != size or found[2] != changed:
                with open(os.path.join(folder, name), "rb") as stream:
                    found = [inode, size, changed, make(stream.read())]
            used[name] = found
            return found[3]

        return note

    def sha256(self, path: Path) -> str:
        """SHA-256 of a file's contents."""
        folder, name = os.path.split(path)
        return self.of_folder(folder, lambda data: hashlib.sha256(data).hexdigest())(name, path.stat())

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
        data = parse_json(place.read_text("utf-8"))
        if data["version"] != _VERSION:
            return {}
        return {
            folder: {name: note for name, note in notes.items() if len(note) == 4 and isinstance(note[3], str)}
            for folder, notes in data["folders"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
