"""What is disturbed: a command in a folder of its own, and what that folder holds once nobody has disturbed it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.reliability.small_contest import SmallContest
from contest.disk.files import sha256

ROOT = Path(__file__).parents[2]
HANGS = 900  # seconds after which a command that is left alone is one that hangs
# logs; pages are called after their report, in which times are; what a site holds is compared by its own stage
APART = ("logs/", "compiler.log", "site/entries/", "site/data/")
TIMED = ("report.json",)  # their "seconds" are left out of the comparison


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
        """Run the command undisturbed; returns what it said. Unlike: it fails."""
        said = ""
        for command in (self.command, self.after):
            if command:
                done = call(command, self.cache)
                said += done.stdout + done.stderr
                if done.returncode != 0:
                    raise Unlike(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-2000:]}")
        return said

    def digests(self) -> dict[str, str]:
        """Path -> SHA-256 of everything in the folder."""
        found = {}
        for path in sorted(self.folder.rglob("*")):
            name = path.relative_to(self.folder).as_posix()
            if path.is_file() and not name.startswith(tuple(self.apart)):
                found[name] = _timeless(path) if path.name in TIMED else sha256(path)
        return found

    def undisturbed(self, notes: Path) -> Undisturbed:
        """What two undisturbed runs have alike; kept in `notes`, and not made again."""
        noted = notes / f"{self.name}.json"
        if noted.exists():
            return Undisturbed(**json.loads(noted.read_text("utf-8")))
        found = []
        for _ in range(2):
            self.prepare()
            begun = time.monotonic()
            self.finish()
            seconds = time.monotonic() - begun
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
    """Digests of what is the same every time, the names of what is not, and how long it took in seconds."""

    alike: Mapping[str, str]
    others: Sequence[str]
    seconds: float

    def differing(self, found: Mapping[str, str]) -> list[str]:
        """What is missing or has other bytes, and files that do not belong there."""
        wrong = [path for path, digest in self.alike.items() if found.get(path) != digest]
        wrong += [path for path in self.others if path not in found]
        return sorted({*wrong, *(found.keys() - self.alike.keys() - set(self.others))})


def call(command: Sequence[str], cache: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        command, cwd=ROOT, env=environment(cache), capture_output=True, text=True, timeout=HANGS, check=False, **options
    )


def environment(cache: Path) -> dict[str, str]:
    """This cache, one thread, wide lines."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "JDART_CACHE": str(cache),
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "400",
    }


def stages(small: SmallContest, work: Path) -> dict[str, Stage]:
    """Every way that a user starts work with, one after the other in the order in which they need each other."""
    whole = work / "whole" / "out"  # a finished run, with which others begin
    config = str(small.config)

    def place(name: str) -> Path:
        return work / name / "out"

    def jdart(name: str, *words: str, **options: Any) -> Stage:
        command = [*_module("jdart"), name.partition(" ")[0], config, "--output", str(place(name)), "--device", "cpu"]
        return Stage(name, [*command, *words], place(name), lambda: None, apart=APART, **options)

    def after_run(name: str, gone: Sequence[str]) -> Callable[[], None]:
        def begin() -> None:
            if not whole.is_dir():
                every[0].undisturbed(work / "undisturbed")
                shutil.copytree(every[0].folder, whole)
            shutil.copytree(whole, place(name))
            for one in gone:
                path = place(name) / one
                shutil.rmtree(path) if path.is_dir() else path.unlink()

        return begin

    def found_event() -> None:
        done = call(
            [*_module("organiser"), "init", str(small.event), "--folder", str(place("organise"))], place("organise")
        )
        if done.returncode != 0:
            raise Unlike(done.stderr)

    score, archive, site, event = place("score"), place("archive"), place("site"), place("organise")
    receive = [*_module("organiser"), "receive", str(small.inbox), "--settle", "0", "--folder", str(event)]
    every = [
        jdart("run"),
        jdart("run by processes", "--devices", "cpu,cpu"),
        jdart("search", "--budget", "2"),
        Stage(
            "score",
            [*_module("evaluator"), "score", str(score), "--cache", str(score / "cache")],
            score,
            after_run("score", ["report"]),
            apart=("cache/",),
        ),
        Stage(
            "archive",
            [*_module("submission"), "build", str(archive), "--out", str(archive / "entry.zip")],
            archive,
            after_run("archive", ["entry.zip"]),
        ),
        Stage(
            "site",
            [*_module("leaderboard"), "build", str(site / "report"), "--out", str(site / "site")],
            site,
            after_run("site", ["site"]),
        ),
        Stage(
            "organise",
            receive,
            event,
            found_event,
            after=[*_module("organiser"), "audit", "--folder", str(event)],
            at_once=2,  # an entry whose scoring is cut off three times waits for the organiser's word
            apart=("features/", "ledger.sqlite3", ".lock", "site/entries/", "site/data/"),
        ),
    ]
    return {stage.name: stage for stage in every}


def _module(name: str) -> list[str]:
    return [sys.executable, "-m", name]


def _timeless(path: Path) -> str:
    value = json.loads(path.read_text("utf-8"))
    value.get("provenance", {}).pop("seconds", None)
    return json.dumps(value, sort_keys=True)
