"""`kill -9` at random moments: the same command then finishes, its result is the undisturbed one, nothing is left."""

from __future__ import annotations

import glob
import random
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from benchmarks.reliability.command import Hangs, kill, start
from benchmarks.reliability.stage import Stage, Undisturbed, Unlike

HALF = (".part", ".incoming")  # how names of what is not finished end
LOOK = 0.003  # seconds between two looks at whether the moment has come


@dataclass(frozen=True)
class Trial:
    """One command, killed at `moments` (seconds after each start), then left alone; `wrong` is what it got wrong."""

    stage: str
    number: int
    moments: list[float]
    wrong: list[str]


@dataclass(frozen=True)
class Moment:
    """So many seconds after the start; or when `file`, or its draft, appears. `alone`: what it has started lives on."""

    seconds: float
    file: Optional[Path]
    alone: bool

    def has_come(self, seconds: float) -> bool:
        if self.file is None:
            return seconds >= self.seconds
        draft = f".{glob.escape(self.file.name[:40])}.*"
        return self.file.exists() or any(self.file.parent.glob(draft))


def try_kills(stage: Stage, whole: Undisturbed, seed: int, number: int, kills: int) -> Trial:
    """Kill the command up to `kills` times, finish it, and compare. The moments follow seed, stage and number."""
    rng = random.Random(f"{seed} {stage.name} {number}")
    stage.prepare()
    moments = []
    for _ in range(min(kills, rng.randint(1, stage.at_once))):
        killed = _killed(stage, draw_moment(rng, stage, whole))
        if killed is not None:
            moments.append(round(killed, 3))
    try:
        said = stage.finish()
    except (Unlike, Hangs) as unlike:
        return Trial(stage.name, number, moments, [str(unlike)])
    wrong = whole.differing(stage.digests())
    wrong += [f"half-written: {path.name}" for path in stage.folder.parent.rglob("*") if path.name.endswith(HALF)]
    wrong += ["a traceback"] if "Traceback" in said else []
    return Trial(stage.name, number, moments, wrong)


def draw_moment(rng: random.Random, stage: Stage, whole: Undisturbed) -> Moment:
    """One time in two by the clock, else at one of the files that are still to be made.

    Most of a command's time goes to what writes nothing.
    """
    seconds, by_file, alone = rng.uniform(0, whole.seconds), rng.random() < 0.5, rng.random() < 0.5
    every = (Moment(seconds, stage.folder / name, alone) for name in sorted((*whole.alike, *whole.others)))
    to_come = [one for one in every if not one.has_come(0.0)]  # nor is there the half of it that a killed one left
    return rng.choice(to_come) if by_file and to_come else Moment(seconds, None, alone)


def _killed(stage: Stage, moment: Moment) -> float | None:
    """Start the command, and kill it: after how many seconds. None where it was over before."""
    quiet = subprocess.DEVNULL
    process = start(stage.command, stage.cache, stdout=quiet, stderr=quiet)
    begun = time.monotonic()
    while process.poll() is None:
        seconds = time.monotonic() - begun
        if moment.has_come(seconds):
            kill(process, moment.alone)
            return seconds
        time.sleep(LOOK)
    return None
