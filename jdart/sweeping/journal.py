"""The journal of a study: one process at a time writes on it, and half a line at its end does no harm."""

from __future__ import annotations

import fcntl
import logging
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from contest.errors import UserError

log = logging.getLogger(__name__)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """UserError while another process is in here. The lock ends with the process, and is not its children's."""
    with open(folder / "sweep.lock", "a+", encoding="utf-8") as stream:
        try:
            fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            stream.seek(0)
            raise UserError(
                f"{folder}: another jdart sweep is at work in it ({stream.read().strip()}); wait for its end, or "
                "choose another folder with --output"
            ) from None
        stream.truncate(0)
        stream.write(f"process {os.getpid()} on {platform.node()}\n")
        stream.flush()
        yield


def mend(journal: Path) -> None:
    """Take away what a process left that was killed while it wrote; for the process that is alone in the folder.

    Half a line, after which Optuna would write on and then read neither; and its lock, for which it would wait.
    """
    for left in (journal.with_name(f"{journal.name}.lock"), *journal.parent.glob(f"{journal.name}.lock*.rename")):
        left.unlink(missing_ok=True)
    if not journal.exists():
        return
    data = journal.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        log.warning("%s: its last line was written in half, and is cut off", journal)
        os.truncate(journal, whole)
