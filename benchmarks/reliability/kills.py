"""`kill -9` at random moments: the same command then finishes, its result is the undisturbed one, nothing is left."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.reliability.stages import ROOT, Stage, Undisturbed, Unlike, environment

HALF = (".part", ".incoming")  # how names of what is not finished end


@dataclass(frozen=True)
class Trial:
    """One command, killed at `moments` (seconds after each start), then left alone; `wrong` is what it got wrong."""

    stage: str
    number: int
    moments: list[float]
    wrong: list[str]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def try_kills(stage: Stage, whole: Undisturbed, seed: int, number: int, kills: int) -> Trial:
    """Kill the command up to `kills` times, finish it, and compare. The moments follow seed, stage and number."""
    rng = random.Random(f"{seed} {stage.name} {number}")
    stage.prepare()
    moments = []
    for _ in range(min(kills, rng.randint(1, stage.at_once))):
        moment = rng.uniform(0, 1.1 * whole.seconds)
        if _killed(stage, moment):
            moments.append(round(moment, 3))
    try:
        said = stage.finish()
    except Unlike as unlike:
        return Trial(stage.name, number, moments, [str(unlike)])
    found = stage.digests()
    wrong = whole.differing(found)
    wrong += [f"half-written: {path.name}" for path in stage.folder.parent.rglob("*") if path.name.endswith(HALF)]
    wrong += ["a traceback"] if "Traceback" in said else []
    return Trial(stage.name, number, moments, wrong)


def _killed(stage: Stage, moment: float) -> bool:
    """Start the command, and kill it with all it has started; False where it was over before."""
    process = subprocess.Popen(
        stage.command,
        cwd=ROOT,
        env=environment(stage.cache),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        process.wait(moment)
        return False
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
