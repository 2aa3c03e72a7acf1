"""A command as a process of its own: started, ended with all that it has started, or followed to its end."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
HANGS = 900  # seconds after which a command that is left alone is one that hangs


class Hangs(Exception):
    """A command did not come to its end."""


def start(command: Sequence[str], cache: Path, **options: Any) -> subprocess.Popen[str]:
    """Start a command with this user's cache, one thread and wide lines, away from this terminal."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "JDART_CACHE": str(cache),
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "400",
    }
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, start_new_session=True, **{**pipes, **options}
    )


def call(command: Sequence[str], cache: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command to its end. Hangs: it has none."""
    return ended(start(command, cache, **options))


def ended(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """How a started command ends, and what it says. Hangs: it does not end."""
    with process:
        try:
            out, err = process.communicate(timeout=HANGS)
        except subprocess.TimeoutExpired as error:
            kill(process)
            raise Hangs(f"{process.args!r} did not end in {HANGS} s") from error
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def kill(process: subprocess.Popen[str], alone: bool = False) -> None:
    """`kill -9` to a started command and all that it has started, or to it `alone`, so that these have to notice."""
    family = [process.pid] if alone else _family(process.pid)
    for pid in family:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def _family(first: int) -> list[int]:
    """A process and all below it, in sessions of their own or not: as Linux knows them."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            parent = int(stat.read_text("utf-8", "replace").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found = [first]
    for pid in found:
        found += children.get(pid, [])
    return found
