"""The commands that are disturbed: every way that a user starts work with."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.reliability.command import call
from benchmarks.reliability.small_contest import SmallContest
from benchmarks.reliability.stage import Stage, Unlike
from contest.disk.drafts import whole_folder

# logs; pages are called after their report, in which times are; what a site holds is compared by its own stage
APART = ("logs/", "compiler.log", "site/entries/", "site/data/")


def stages(small: SmallContest, work: Path) -> dict[str, Stage]:
    """Every way that a user starts work with, one after the other in the order in which they need each other."""
    whole = work / "whole" / "out"  # a finished run, with which others begin
    config = str(small.config)

    def place(name: str) -> Path:
        return work / name / "out"

    def jdart(name: str, *words: str) -> Stage:
        command = [*_module("jdart"), name.partition(" ")[0], config, "--output", str(place(name)), "--device", "cpu"]
        return Stage(name, [*command, *words], place(name), lambda: None, at_once=6, apart=APART)

    def after_run(name: str, gone: Sequence[str]) -> Callable[[], None]:
        def begin() -> None:
            if not whole.is_dir():
                every[0].prepare()  # whatever a disturbed one has left there
                every[0].finish()
                with whole_folder(whole) as draft:
                    shutil.copytree(every[0].folder, draft, dirs_exist_ok=True)
            shutil.copytree(whole, place(name))
            for one in gone:
                path = place(name) / one
                shutil.rmtree(path) if path.is_dir() else path.unlink()

        return begin

    def found_event() -> None:
        event = place("organise")
        done = call([*_module("organiser"), "init", str(small.event), "--folder", str(event)], event.parent / "cache")
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
