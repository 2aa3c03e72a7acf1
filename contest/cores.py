"""How much of a machine's CPU is for this process, and what CPU it is."""

from __future__ import annotations

import os
import platform
from pathlib import Path

QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container on Linux: microseconds of CPU in how many of the clock
SETS = {"avx512f": "AVX-512", "avx2": "AVX2", "avx": "AVX", "asimd": "NEON"}  # by the kernel's names


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


def processor() -> str:
    """This machine's, with its widest instruction set and the number of cores that this process may use."""
    facts = _cpuinfo()
    flags = set(facts.get("flags", facts.get("Features", "")).split())
    widest = next((name for flag, name in SETS.items() if flag in flags), platform.machine())
    count = cores()
    return f"{facts.get('model name', platform.machine())}, {widest}, {count} core{'s' if count > 1 else ''}"


def _cpuinfo() -> dict[str, str]:
    """What Linux says of the first processor; nothing elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").split("\n\n")[0].splitlines()
    except OSError:
        return {}
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
