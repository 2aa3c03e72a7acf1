"""Other faults of a machine: the command says so in one line, and a later run finishes as if there were none."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.reliability.command import HANGS, ROOT, Hangs, call, ended, kill, start
from benchmarks.reliability.small_contest import SmallContest, noise
from benchmarks.reliability.stage import Stage, Unlike
from benchmarks.reliability.stages import stages

MISUSE = 2
OVERRIDE = 1  # CAP_DAC_OVERRIDE, with which the superuser writes where nobody may
DROP = 24  # PR_CAPBSET_DROP
BACKWARDS = """
import time
_real, _calls = time.time, iter(range(10**9))
time.time = lambda: _real() - 3600 * next(_calls)
"""


@dataclass(frozen=True)
class Told:
    """What came of a fault: what was said or done, what a later run did, and what was wrong with either."""

    fault: str
    said: str
    then: str
    wrong: list[str]


class NotPossible(Exception):
    """This machine does not let the fault be made."""


Fault = Callable[[Stage, SmallContest], str]


def try_fault(name: str, small: SmallContest, work: Path) -> Told:
    """Make the fault, then let the command finish, and compare."""
    kind, make = FAULTS[name]
    stage = stages(small, work)[kind]
    whole = stage.undisturbed(work / "undisturbed")
    stage.prepare()
    try:
        said = make(stage, small)
        stage.finish()
        wrong = whole.differing(stage.digests())
        wrong += [path.name for path in stage.folder.parent.rglob("*.part")]
        return Told(name, said, "finishes, the same to the byte", wrong)
    except NotPossible as why:
        return Told(name, f"not tried here: {why}", "-", [])
    except (Unlike, Hangs) as unlike:
        return Told(name, "", "", [str(unlike)])


def one_line(done: subprocess.CompletedProcess[str], *codes: int) -> str:
    """The line in which a command says why it ended with one of `codes`. Unlike: it says more, or something else."""
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    if done.returncode not in codes or len(lines) != 1 or "Traceback" in done.stdout + done.stderr:
        raise Unlike(f"ended with {done.returncode}: {done.stderr[-1500:]}")
    return "`" + re.sub(r"/\S*/", ".../", lines[0].removeprefix("error: ")).replace("|", "/") + "`"


def limited(kind: int, amount: int) -> Callable[[], None]:
    """For a process that is about to start."""
    return lambda: resource.setrlimit(kind, (amount, amount))


def small_files(stage: Stage, small: SmallContest) -> str:
    return one_line(call(stage.command, stage.cache, preexec_fn=limited(resource.RLIMIT_FSIZE, 100_000)), MISUSE)


def full_disk(stage: Stage, small: SmallContest) -> str:
    disk = stage.folder.parent
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", disk], capture_output=True).returncode:
        raise NotPossible("no right to mount a small disk")
    try:
        said = one_line(call(stage.command, stage.cache), MISUSE)
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        stage.finish()
        subprocess.run(["cp", "-a", disk, f"{disk}.copy"], check=True)
    finally:
        subprocess.run(["umount", disk], check=True)
    subprocess.run(["rm", "-r", disk], check=True)
    os.rename(f"{disk}.copy", disk)
    return said


def read_only(stage: Stage, small: SmallContest) -> str:
    libc = ctypes.CDLL(None)
    stage.folder.parent.chmod(0o555)
    try:
        return one_line(call(stage.command, stage.cache, preexec_fn=lambda: libc.prctl(DROP, OVERRIDE)), MISUSE)
    finally:
        stage.folder.parent.chmod(0o755)


def second_run(stage: Stage, small: SmallContest) -> str:
    with _started(stage, lambda: (stage.folder / "run.json").exists()) as first:
        first.send_signal(signal.SIGSTOP)  # else it might be over before the second has begun
        said = one_line(call(stage.command, stage.cache), MISUSE)
        first.send_signal(signal.SIGCONT)
        if ended(first).returncode != 0:
            raise Unlike("the first run did not finish")
    return said


def changed_reference(stage: Stage, small: SmallContest) -> str:
    path = small.references / "00" / "images" / "cow.png"
    before = path.read_bytes()
    try:
        with _started(stage, lambda: (stage.folder / "lora" / "00" / "checkpoint.safetensors").exists()) as run:
            path.write_bytes(noise([77]))
            return one_line(ended(run), MISUSE)
    finally:
        path.write_bytes(before)


def little_memory(stage: Stage, small: SmallContest) -> str:
    """From far too little, a quarter more each time, up to what is enough."""
    told: dict[str, list[int]] = {}
    megabytes = 200
    while megabytes < 32_000:
        done = call(stage.command, stage.cache, preexec_fn=limited(resource.RLIMIT_AS, megabytes << 20))
        if done.returncode == 0:
            return "; ".join(f"{min(found)} to {max(found)} MiB: {line}" for line, found in told.items())
        told.setdefault(re.sub(r"\d+ MiB", "... MiB", one_line(done, MISUSE)), []).append(megabytes)
        megabytes += megabytes // 4
    raise Unlike("no memory is enough")


def cut_cache(stage: Stage, small: SmallContest) -> str:
    stage.finish()
    (cache,) = stage.folder.glob("cache/*.sqlite3")
    os.truncate(cache, cache.stat().st_size // 2)
    (stage.folder / "report" / "report.json").unlink()
    done = call(stage.command, stage.cache)
    if done.returncode != 0 or "set aside" not in done.stderr:
        raise Unlike(done.stderr[-1500:])
    return "the cache is set aside with a warning, and the notes are taken again"


def backwards(stage: Stage, small: SmallContest) -> str:
    place = stage.folder.parent / "clock"
    place.mkdir(parents=True)
    (place / "sitecustomize.py").write_text(BACKWARDS)
    command = ["env", f"PYTHONPATH={place}{os.pathsep}{ROOT}", *stage.command]
    done = call(command, stage.cache)
    if done.returncode != 0:
        raise Unlike(done.stderr[-1500:])
    return "nothing: an hour back at every look, and the run goes through"


@contextmanager
def _started(stage: Stage, begun: Callable[[], bool]) -> Iterator[subprocess.Popen[str]]:
    """The stage's command, once `begun` is true; ended with the block."""
    process = start(stage.command, stage.cache)
    until = time.monotonic() + HANGS
    try:
        while not begun() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.005)
        yield process
    finally:
        kill(process)


FAULTS: dict[str, tuple[str, Fault]] = {
    "files may have 100 kB at most (`ulimit -f`)": ("run", small_files),
    "the disk is full": ("run", full_disk),
    "the folder may not be written": ("run", read_only),
    "a second run in the same folder": ("run", second_run),
    "a reference changes during training": ("run", changed_reference),
    "the clock jumps back": ("run", backwards),
    "the cache is cut in half": ("score", cut_cache),
    "little memory (`ulimit -v`), `jdart-eval score`": ("score", little_memory),
    "little memory (`ulimit -v`), `jdart run`": ("run", little_memory),
}
