"""What teams do in a drill: archives that grow in the drop folder, at some rate."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

from organiser.drilling.plan import Fake


class Sender(threading.Thread):
    """Puts ready archives into a drop folder, `rate` a minute, or as fast as it can. `sent` has the time of each.

    Seconds since the epoch, as of files. `problem` is what stopped it.
    """

    def __init__(self, fakes: Sequence[Fake], inbox: Path, rate: float | None) -> None:
        super().__init__(daemon=True)
        self._fakes, self._inbox, self._rate = fakes, inbox, rate
        self._stopped = threading.Event()
        self.sent: dict[tuple[str, str], float] = {}
        self.problem: OSError | None = None

    def run(self) -> None:
        begun = time.monotonic()
        try:
            for number, fake in enumerate(self._fakes):
                due = 0.0 if self._rate is None else begun + 60 * number / self._rate - time.monotonic()
                if self._stopped.wait(max(due, 0.0)):
                    return
                self._send(fake)
        except OSError as error:
            self.problem = error

    def stop(self) -> None:
        self._stopped.set()

    def _send(self, fake: Fake) -> None:
        """In two pieces, as what comes over a network."""
        data = fake.ready.read_bytes()
        place = self._inbox / fake.team / fake.name
        place.parent.mkdir(parents=True, exist_ok=True)
        with open(place, "wb") as stream:
            stream.write(data[: len(data) // 2])
            stream.flush()
            stream.write(data[len(data) // 2 :])
        self.sent[fake.team, fake.name] = time.time()
