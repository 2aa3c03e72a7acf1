"""One command at a time in a folder."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from contest.disk.writable import missing_folders
from contest.errors import UserError

log = logging.getLogger(__name__)


@contextmanager
def alone_in(folder: Path, command: str) -> Iterator[None]:
    """Make `folder` where it is not there, and hold it: UserError while another process does.

    The lock is the folder's own, so that nothing is written, and falls with the process, however that ends; it is not
    its children's. `command` is what the other process is called.
    """
    import fcntl

    new = missing_folders(folder)
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{folder}: another {command} is at work in it; wait for its end, or choose another folder with "
                "--output"
            ) from None
        except OSError as error:  # a disk of another machine may know no locks
            log.warning("%s: cannot be locked (%s); let no second %s work in it", folder, error.strerror, command)
        yield
    finally:
        for one in new:  # a command that was refused after all leaves nothing behind
            if one.is_dir() and not any(one.iterdir()):
                one.rmdir()
        os.close(handle)
