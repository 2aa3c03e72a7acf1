"""The process that does one task: reads it from standard input, writes an event a line to standard output.

Everything else that is said goes to standard error, which the executor sends to the task's log.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from jdart.jobs.tasks import event_to_json, task_from_json


def work() -> None:
    """Do the task on standard input. Raises UserError where a stage does."""
    config, stages, device = task_from_json(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with os.fdopen(os.dup(1), "w") as events:
        os.dup2(2, 1)  # a library that prints does not get among the events
        from jdart.running.screen import speak

        speak()
        from jdart.runtime import start

        start(device)
        from jdart.running.pipeline import stages as stages_of
        from jdart.runs.job import open_job

        every = stages_of(open_job(config, notes=False), device)
        for stage in stages:
            for event in every[stage]():
                events.write(event_to_json(event) + "\n")
                events.flush()


def _end_with_parent() -> None:
    """Standard input stays open as long as the executor lives; without it nobody would wait for this work.

    Read without sys.stdin, whose lock would be held in the processes that Jittor forks, and hang them.
    """
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
