"""Where time comes from: the machine, or a test."""

from __future__ import annotations

import os
import time
from datetime import datetime, timezone
from typing import Protocol


class Clock(Protocol):
    """What everything that depends on time is given."""

    def now(self) -> datetime:
        """The time, with a zone."""

    def sleep(self, seconds: float) -> None:
        """Let so many seconds pass."""

    def arrived(self, found: os.stat_result) -> datetime:
        """When a file in the drop folder was complete."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(timezone.utc)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def arrived(self, found: os.stat_result) -> datetime:
        """Its last change by this machine's own account (ctime): unlike mtime, a sender cannot set it."""
        return min(self.now(), datetime.fromtimestamp(found.st_ctime, timezone.utc))


def to_text(moment: datetime) -> str:
    """UTC to the millisecond, always equally long, so that texts sort as times do."""
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_text(text: str) -> datetime:
    """The inverse of `to_text`."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
