"""What is disturbed: a command in a folder of its own, and what that folder holds once nobody has disturbed it."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.reliability.command import call
from contest.disk.files import sha256
from submission.packing.provenance import find_commit

TIMED = ("**/report.json", "search/rounds/*/*.json")  # what they say of times is left out of the comparison


class Unlike(Exception):
    """What was left behind is not as it should be."""


@dataclass(frozen=True)
class Stage:
    """A command that works in `folder`, which `begin` makes as it is before; `after` must succeed when it is done.

    At most `at_once` kills are one after the other. Names in `apart` are not compared: caches, whose form depends on
    when they were written.
    """

    name: str
    command: Sequence[str]
    folder: Path
    begin: Callable[[], None]
    after: Sequence[str] = ()
    at_once: int = 4
    apart: Sequence[str] = ()

    @property
    def cache(self) -> Path:
        """What is cached for the user, so that every trial begins with nothing."""
        return self.folder.parent / "cache"

    def prepare(self) -> None:
        """The folder as it is before the command."""
        for folder in (self.folder, self.cache):
            shutil.rmtree(folder, ignore_errors=True)
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        self.begin()

    def finish(self) -> str:
        """Run the command undisturbed, and what must succeed after it; returns what they said. Unlike, Hangs."""
        return self._run(self.command) + (self._run(self.after) if self.after else "")

    def _run(self, command: Sequence[str]) -> str:
        done = call(command, self.cache)
        if done.returncode != 0:
            raise Unlike(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout + done.stderr

    def digests(self) -> dict[str, str]:
        """Path -> SHA-256 of everything in the folder."""
        found = {}
        timed = {path for pattern in TIMED for path in self.folder.glob(pattern)}
        for path in sorted(self.folder.rglob("*")):
            name = path.relative_to(self.folder).as_posix()
            if path.is_file() and not name.startswith(tuple(self.apart)):
                found[name] = _timeless(path) if path in timed else sha256(path)
        return found

    def undisturbed(self, notes: Path) -> Undisturbed:
        """What two undisturbed runs have alike; kept in `notes`, and made again for another commit, as runs note it."""
        noted = notes / str(find_commit(notes)) / f"{self.name}.json"
        if noted.exists():
            return Undisturbed(**json.loads(noted.read_text("utf-8")))
        found = []
        for _ in range(2):
            self.prepare()
            begun = time.monotonic()
            self._run(self.command)
            seconds = time.monotonic() - begun  # of the second, for which nothing needs to be compiled
            found.append(self.digests())
        other = found[0].keys() ^ found[1].keys()
        if other:
            raise Unlike(f"{self.name}: two undisturbed runs leave other files: {sorted(other)}")
        alike = {path: digest for path, digest in found[0].items() if found[1][path] == digest}
        made = Undisturbed(alike, sorted(found[0].keys() - alike.keys()), seconds)
        noted.parent.mkdir(parents=True, exist_ok=True)
        noted.write_text(json.dumps(vars(made), indent=1), "utf-8")
        return made


@dataclass(frozen=True)
class Undisturbed:
    """Digests of what is the same every time, the names of what is not, and how many seconds the command took."""

    alike: Mapping[str, str]
    others: Sequence[str]
    seconds: float

    def differing(self, found: Mapping[str, str]) -> list[str]:
        """What is missing or has other bytes, and files that do not belong there."""
        wrong = [path for path, digest in self.alike.items() if found.get(path) != digest]
        wrong += [path for path in self.others if path not in found]
        return sorted({*wrong, *(found.keys() - self.alike.keys() - set(self.others))})


def _timeless(path: Path) -> str:
    value = json.loads(path.read_text("utf-8"))
    for times in (value.get("provenance", {}), value):
        for name in ("seconds", "drafting"):
            times.pop(name, None)
    return json.dumps(value, sort_keys=True)
