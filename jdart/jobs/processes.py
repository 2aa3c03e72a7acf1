"""The executor on this machine: a process for each task, as many at a time as there are devices."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from jdart.jobs.devices import threads_for
from jdart.jobs.tasks import (
    DONE,
    FAILED,
    HEADING,
    RUNNING,
    WAITING,
    Progress,
    Stream,
    Task,
    event_from_json,
    last_words,
)
from jdart.runtime import CRASHES

PATIENCE = 10  # seconds that a process has to clear up after SIGTERM


def run_processes(tasks: Sequence[Task], devices: Sequence[str]) -> Stream:
    """Do the tasks in order, each on the next device that is free: a GPU's number, or "cpu".

    A task that fails, crashes or is killed does not stop the others. One whose process a fault in compiled code ended
    is begun once more, and goes on from its checkpoint. Processes that are still at work when the caller stops
    listening are ended.
    """
    waiting, free, again = list(tasks), list(devices), set()
    threads = threads_for(len(devices))
    told: queue.Queue[Progress] = queue.Queue()
    running: dict[str, subprocess.Popen[str]] = {}
    try:
        while waiting or running:
            while waiting and free:
                task, device = waiting.pop(0), free.pop(0)
                running[task.name] = start_worker(task, *_environment(device, threads))
                yield Progress(task.name, RUNNING, device)
                threading.Thread(target=_listen, args=(running[task.name], task, device, told), daemon=True).start()
            progress = told.get()
            if progress.state != RUNNING:
                code = running.pop(progress.task).returncode
                free.append(progress.device)
                if crashed(code) and progress.task not in again:
                    again.add(progress.task)
                    waiting.insert(0, next(task for task in tasks if task.name == progress.task))
                    progress = replace(progress, state=WAITING, text=f"{progress.text}; once more")
            yield progress
    finally:
        end_workers(running.values())


def _environment(device: str, threads: int) -> tuple[str, Mapping[str, str]]:
    """Device kind and environment of a worker."""
    shared = {"OMP_NUM_THREADS": str(threads)}
    return ("cpu", shared) if device == "cpu" else ("cuda", {**shared, "CUDA_VISIBLE_DEVICES": device})


def _listen(process: subprocess.Popen[str], task: Task, device: str, told: queue.Queue[Progress]) -> None:
    for progress in follow(process, task, device):
        told.put(progress)


def start_worker(task: Task, kind: str, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start a process for `task`, away from this terminal: Ctrl-C reaches it through its parent only."""
    command = [sys.executable, "-m", "jdart", "worker"]
    heading = f"{', '.join(task.stages)} of {task.name}"
    return start_process(command, task.to_json(kind), task.log, heading, {**os.environ, **environment})


def start_process(
    command: Sequence[str], line: str, log: Path, heading: str, environment: Mapping[str, str]
) -> subprocess.Popen[str]:
    """Start `command` in a session of its own, with `line` on its standard input, which stays open.

    What it says on standard error goes to the end of `log`, below a heading.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "ab") as out:
        out.write(f"{HEADING}{heading}, {time.strftime('%Y-%m-%d %H:%M:%S')}\n".encode())
        out.flush()
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=out,
            env=environment,
            start_new_session=True,
            text=True,
        )
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # it ended at once; its log says why
        process.stdin.write(line + "\n")
        process.stdin.flush()
    return process


def follow(process: subprocess.Popen[str], task: Task, device: str) -> Stream:
    """What a worker tells until it ends, and how it ended."""
    assert process.stdin is not None and process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            if not line.endswith("\n"):
                break  # killed while it wrote
            yield Progress(task.name, RUNNING, device, event_from_json(line))
    code = process.wait()
    with suppress(BrokenPipeError):
        process.stdin.close()
    if code == 0:
        yield Progress(task.name, DONE, device)
    else:
        yield Progress(task.name, FAILED, device, text=why(code, _read(task.log)))


def _read(log: Path) -> str:
    try:
        return log.read_text("utf-8", errors="replace")
    except OSError:
        return ""


def crashed(code: int) -> bool:
    """Whether a fault in compiled code ended a process. Jittor's are rare, and do not come again at the same place."""
    return -code in CRASHES


def why(code: int, log: str) -> str:
    """Why a process ended with this return code, other than 0, having written this log."""
    if code < 0:
        name = signal.Signals(-code).name
        return f"ended by {name}" + ("; was the memory full?" if name == "SIGKILL" else "")
    said = last_words(log)
    return said if said else f"ended with exit code {code}"


def end_workers(processes: Iterable[subprocess.Popen[str]]) -> None:
    """End processes and what they started: asked first, so that half-written files are cleared away, then killed."""
    processes = list(processes)
    with _undisturbed():
        for process in processes:
            if process.poll() is None:
                _signal(process, signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE
        for process in processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
            _signal(process, signal.SIGKILL)
            process.wait()


def _signal(process: subprocess.Popen[str], number: int) -> None:
    """Send a signal to a worker's whole session, its compilers included."""
    with suppress(ProcessLookupError):  # all of it has ended
        os.killpg(process.pid, number)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A second Ctrl-C does not leave processes behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
