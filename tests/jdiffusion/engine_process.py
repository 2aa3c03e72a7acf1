"""The engine's process that a process of jdart's has started."""

import os
from pathlib import Path

from jdart.engines.look import script_of


def engine_of(number):
    """The number of the engine that process `number` has started, or None."""
    for children in Path("/proc", str(number), "task").glob("*/children"):
        for child in children.read_text().split():
            if str(script_of("jdiffusion")) in Path("/proc", child, "cmdline").read_text().split("\0"):
                return int(child)
    return None


def state(number):
    """What Linux says of a process, from its state on (proc(5), stat, field 3); None where there is none."""
    try:
        return Path("/proc", str(number), "stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return None


def cpu_seconds(number):
    """Of all threads of a process."""
    return sum(map(int, state(number)[11:13])) / os.sysconf("SC_CLK_TCK")
