"""A drill: the evening as it will be, with fake archives that are sent while others are checked and scored."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from contest.disk.shipped import TOY
from contest.errors import UserError
from contest.reading import load_contest
from organiser.clock import SystemClock
from organiser.desk import Desk, at_work, found_desk
from organiser.drilling.measures import Measures, measure
from organiser.drilling.plan import Fake, plan, write_archives, write_rules
from organiser.drilling.receipts import receipt_times
from organiser.drilling.sender import Sender
from organiser.intake import Inbox
from organiser.reception import Happening
from organiser.scorer import EntryScorer, EventScorer
from organiser.service import work

_WAIT = 0.1  # seconds between two looks at whether more was sent


class Drill:
    """`entries` archives in `folder`, sent `rate` a minute or as fast as they can be. UserError: it is not empty."""

    def __init__(self, folder: Path, entries: int, rate: float | None = None, seed: int = 0) -> None:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UserError(f"{folder}: is there already; name a new folder with --out")
        self.rate = rate
        self.inbox = folder / "inbox"
        self.inbox.mkdir(parents=True)
        clock = SystemClock()
        self.fakes = plan(entries, folder / "ready")
        write_archives(self.fakes, load_contest(TOY), seed)
        self.desk = found_desk(write_rules(folder, self.fakes, clock.now()), folder / "event", clock)
        self._sender = Sender(self.fakes, self.inbox, rate)
        self._took = 0.0, 0.0

    def hold(self, make_scorer: Callable[[Desk], EntryScorer] = EventScorer) -> Iterator[Happening]:
        """The evening, as `organiser.service.work` tells of it. OSError: an archive could not be sent."""
        inbox, made = Inbox(self.inbox), list[EntryScorer]()

        def scorer(desk: Desk) -> EntryScorer:
            if not made:
                made.append(make_scorer(desk))
            return made[0]

        begun = time.monotonic(), time.process_time()
        with at_work(self.desk):
            self._sender.start()
            try:
                goes_on = True
                while goes_on:
                    goes_on = self._sender.is_alive()  # asked first: what was sent before it ended is seen below
                    yield from work(self.desk, inbox, scorer)
                    time.sleep(_WAIT)
            finally:
                self._sender.stop()
                self._sender.join()
        if self._sender.problem is not None:
            raise self._sender.problem
        self._took = time.monotonic() - begun[0], time.process_time() - begun[1]

    def receipts(self) -> dict[Fake, float]:
        """Seconds from last byte to receipt of every archive that has one by now."""
        return receipt_times(self.desk, self.fakes, self._sender.sent)

    def measures(self) -> Measures:
        """The figures, once it was held."""
        return measure(self.desk, self.fakes, self._sender.sent, self._took, self.rate)
