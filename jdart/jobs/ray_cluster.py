"""The executor on a Ray cluster: a Ray task for each task, which starts the same process as on this machine.

The cluster's nodes share the run folder, the references and the base model under the same paths, and have the same
environment installed. A worker that dies is replaced by Ray, elsewhere if need be, and the task begins again with
what it had finished in the run folder.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from typing import Any

from contest.errors import first_line, needs
from contest.machines.cluster import connect
from jdart.jobs.devices import threads_for
from jdart.jobs.processes import end_workers, follow, start_worker
from jdart.jobs.tasks import FAILED, RUNNING, Progress, Stream, Task

RETRIES = 2  # of a task whose worker died; one that failed by itself is not tried again
POLL = 0.5  # seconds


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
        connect(ray, address, kind, len(devices))
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
