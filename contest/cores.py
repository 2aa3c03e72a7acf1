"""How much of a machine's CPU is for this process."""

from __future__ import annotations

import os
from pathlib import Path

QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container on Linux: microseconds of CPU in how many of the clock


def cores() -> int:
    """How many cores this process may use: those that it may run on, but no more than its container pays for.

    Source of the latter: Linux, Documentation/admin-guide/cgroup-v2.rst, "cpu.max".
    """
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    count = 1 if count is None else count
    try:
        share, period = map(int, QUOTA.read_text("ascii").split())
    except (OSError, ValueError):  # there is none, or it is "max"
        return count
    return min(count, -(-share // period))
