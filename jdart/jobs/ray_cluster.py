"""The executor on a Ray cluster: a Ray task for each task, which starts the same process as on this machine.

The cluster's nodes share the run folder, the references and the base model under the same paths, and have the same
environment installed. A worker that dies is replaced by Ray, elsewhere if need be, and the task begins again with
what it had finished in the run folder.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from contest.errors import UserError, first_line, needs
from jdart.jobs.devices import threads_for
from jdart.jobs.processes import end_workers, follow, start_worker
from jdart.jobs.tasks import FAILED, RUNNING, Progress, Stream, Task

RETRIES = 2  # of a task whose worker died; one that failed by itself is not tried again
STORE = 100 << 20  # bytes; Ray's smallest object store is more than a few events need
POLL = 0.5  # seconds
ANSWER = 10.0  # seconds to wait for a cluster's port


class WorkerDied(Exception):
    """The process was killed; another may live."""


def run_on_ray(tasks: Sequence[Task], devices: Sequence[str], address: str | None = None) -> Stream:
    """Do the tasks on the cluster at `address` ("auto": the one of this machine), or on a local one.

    A local cluster has as many workers as there are `devices`.

    A task takes one GPU of the cluster where the devices are "cuda", else one CPU.
    """
    with needs("ray"):
        import ray
        from ray.util.queue import Empty, Queue
    kind = devices[0]
    ours = not ray.is_initialized()
    if ours:
        _connect(ray, address, kind, len(devices))
    try:
        told = Queue(actor_options={"num_cpus": 0})
        resources: dict[str, Any] = {"num_gpus": 1, "num_cpus": 0} if kind == "cuda" else {"num_cpus": 1}
        remote = ray.remote(max_retries=RETRIES, retry_exceptions=[WorkerDied], **resources)(_work)
        threads = threads_for(len(devices)) if address is None else 1
        place = os.getcwd()
        running = {remote.remote(task, kind, threads, place, told): task for task in tasks}
        while running:
            finished, _ = ray.wait(list(running), timeout=POLL)
            try:
                while True:
                    yield told.get_nowait()
            except Empty:
                pass
            for reference in finished:
                yield _outcome(ray, reference, running.pop(reference))
    finally:
        if ours:
            ray.shutdown()


def _connect(ray: Any, address: str | None, kind: str, workers: int) -> None:
    _require_answer(address)
    size: dict[str, Any] = {"num_gpus" if kind == "cuda" else "num_cpus": workers, "object_store_memory": STORE}
    try:
        ray.init(
            address="local" if address is None else address,
            include_dashboard=None if address is not None else False,
            log_to_driver=False,
            logging_level="ERROR",
            **({} if address is not None else size),
        )
    except (ConnectionError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        said = first_line(error).partition(". ")[0]
        raise UserError(f"no Ray cluster: {said}; {_cure(isinstance(error, ray.exceptions.RayError))}") from error


def _require_answer(address: str | None) -> None:
    """UserError where nobody listens at host:port; Ray itself would try for minutes."""
    host, _, port = ("" if address is None else address).rpartition(":")
    if not host or not port.isdecimal() or "/" in host or _lacks_token():
        return  # which is said first, and by Ray
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER).close()
    except (OSError, OverflowError, UnicodeError) as error:
        raise UserError(f"no Ray cluster: nobody answers at {address} ({error}); {_cure(False)}") from error


def _lacks_token() -> bool:
    """Whether Ray is to use a token and finds none where it looks for one."""
    named = os.environ.get("RAY_AUTH_TOKEN_PATH", os.path.expanduser("~/.ray/auth_token"))
    there = "RAY_AUTH_TOKEN" in os.environ or Path(named).is_file()
    return os.environ.get("RAY_AUTH_MODE") == "token" and not there


def _cure(refused: bool) -> str:
    """What helps; a cluster that wants another token answers like one that is not there."""
    token = "the cluster's token in RAY_AUTH_TOKEN or ~/.ray/auth_token"
    if refused:
        return f"put {token}"
    if os.environ.get("RAY_AUTH_MODE") == "token":
        return f"start one with: ray start --head; where it runs, put {token}"
    return f"start one with: ray start --head; one that wants a token needs RAY_AUTH_MODE=token and {token}"


def _work(task: Task, kind: str, threads: int, place: str, told: Any) -> Progress:
    """In a Ray worker: the task's process, whose progress goes into the queue; returns how it ended."""
    os.chdir(place)
    device = f"{socket.gethostname()} {os.environ.get('CUDA_VISIBLE_DEVICES', '') if kind == 'cuda' else kind}"
    told.put(Progress(task.name, RUNNING, device))
    process = start_worker(task, kind, {"OMP_NUM_THREADS": str(threads)})
    try:
        for progress in follow(process, task, device):
            if progress.state == RUNNING:
                told.put(progress)
    finally:
        end_workers([process])
    if process.returncode < 0:
        raise WorkerDied(progress.text)
    return progress


def _outcome(ray: Any, reference: Any, task: Task) -> Progress:
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None)
        return Progress(task.name, FAILED, text=str(cause) if isinstance(cause, WorkerDied) else first_line(error))
