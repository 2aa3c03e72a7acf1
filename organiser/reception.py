"""The door: files are taken and answered while others are checked and scored, in threads of their own.

A receipt waits neither for a check nor for a score. Each thread has a connection of its own to the ledger.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from contest.errors import UserError, first_line
from organiser.books.ledger import Entry
from organiser.books.states import RECEIVED
from organiser.desk import Desk
from organiser.intake import Inbox, check, take
from organiser.publish import Board

EVERY = 60.0  # seconds between two tries of what could not be taken
POLL = 0.25  # seconds between two looks


@dataclass(frozen=True)
class Happening:
    """One thing that happened: `what` is "entry" (it has a new state), "board", "not taken" or "growing"."""

    what: str
    entry: Optional[Entry] = None
    board: Optional[Board] = None
    said: str = ""


class Reception:
    """Takes what lies in a drop folder, None for none, and checks what was taken."""

    def __init__(self, desk: Desk, inbox: Inbox | None) -> None:
        self._desk, self._inbox = desk, inbox
        self._failed: dict[Path, float] = {}  # what could not be taken -> when; on a full disk it would be tried always
        self._happened: list[Happening] = []
        self._moved = False
        self.growing: list[Path] = []  # what may still grow, at the last look

    def look(self) -> None:
        """Take what has stopped growing; its team finds the receipt. UserError: there is no such folder."""
        if self._inbox is None:
            return
        settled, self.growing = self._inbox.look(self._desk)
        for path in settled:
            now, before = self._desk.clock.now().timestamp(), self._failed.get(path)
            if before is not None and abs(now - before) < EVERY:  # the clock may be set back
                continue
            self._moved = True
            try:
                take(self._desk, path, self._inbox.team_of(path))
            except (OSError, UserError) as error:
                self._failed[path] = now
                self._happened.append(Happening("not taken", said=f"{path}: {first_line(error)}"))

    def check_next(self) -> bool:
        """Check the first of what was taken; its team finds the findings. Whether there was one."""
        waiting = self._desk.ledger.entries(RECEIVED)
        if waiting:
            self._happened.append(Happening("entry", check(self._desk, waiting[0])))
        return bool(waiting)

    @contextmanager
    def open_while(self, checking: bool) -> Iterator[None]:
        """Look, and check if `checking`, for as long as the block runs."""
        with ExitStack() as stack:
            if self._inbox is not None:
                stack.enter_context(meanwhile(self.look, self._desk.ledger.close))
                if checking:
                    stack.enter_context(meanwhile(self.check_next, self._desk.ledger.close))
            yield

    def told(self) -> tuple[bool, list[Happening]]:
        """(whether anything was taken or tried, what happened) since the last call."""
        moved, self._moved = self._moved, False
        happened, self._happened = self._happened, []
        return moved, happened


@contextmanager
def meanwhile(step: Callable[[], object], finish: Callable[[], None], pause: float = POLL) -> Iterator[None]:
    """Call `step` again and again in a thread, with pauses, for as long as the block runs; `finish` there at the end.

    What it raises is raised at the end of the block, if that went well.
    """
    stop = threading.Event()
    wrong: list[BaseException] = []

    def run() -> None:
        try:
            while not stop.wait(pause):
                step()
        except BaseException as error:
            wrong.append(error)
        finally:
            finish()

    thread = threading.Thread(target=run, daemon=True)  # else a second Ctrl-C would wait for it
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if wrong:
        raise wrong[0]
