"""Whether a planned run fits what is free on this machine: main memory, a GPU's, the disk."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from jdart.config import Config
from jdart.doctor import GIB, Finding
from jdart.planning.lowering import ways_to_lower
from jdart.planning.plan import Plan

MEMINFO = Path("/proc/meminfo")
CONTAINER = Path("/sys/fs/cgroup")
MORE = "; docs/memory.md has the prices"


def fitting(plan: Plan, config: Config) -> Iterator[Finding]:
    """A finding each for memory, a GPU's memory where the plan has one, and the disk of the run folder."""
    workers = "" if plan.workers == 1 else f" on {plan.workers} workers"
    yield _fits("memory for the run", plan.memory, free_memory(), workers, _lower(config, plan.device_memory))
    if plan.device_memory is not None:
        free = free_device_memory()
        if free is not None:
            yield _fits("GPU memory for the run", plan.device_memory, free, "", _lower(config, plan.device_memory))
    output = Path(config.output).absolute()
    disk = shutil.disk_usage(next(path for path in (output, *output.parents) if path.exists())).free
    yield _fits("disk for the run", plan.disk, disk, "", f"free some space on the disk of {output}, or set output")


def _fits(name: str, needed: int, free: int, where: str, cure: str) -> Finding:
    found = f"{_gib(needed)} needed{where}, {_gib(free)} free"
    return Finding(name, "ok", found) if needed <= free else Finding(name, "fail", found, cure)


def _gib(count: int) -> str:
    return f"{count / GIB:.2f} GiB"


def _lower(config: Config, device_memory: int | None) -> str:
    return f"set, the cheapest first: {', '.join(ways_to_lower(config, device_memory is not None))}{MORE}"


def free_memory() -> int:
    """Bytes of main memory that can be taken without swapping, on the machine and within a container's limit."""
    rows = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines() if ":" in line)
    free = int(rows["MemAvailable"].split()[0]) * 1024
    limit = _number(CONTAINER / "memory.max")
    used = _number(CONTAINER / "memory.current")
    if limit is None or used is None:
        return free
    return min(free, max(0, limit - used + _file_cache()))


def _number(file: Path) -> int | None:
    """What a file of the container says; None where there is none, or it says `max`."""
    text = file.read_text().strip() if file.is_file() else ""
    return int(text) if text.isdigit() else None


def _file_cache() -> int:
    """Bytes that a container holds of files, which it gives up when asked for memory."""
    stat = CONTAINER / "memory.stat"
    rows = dict(line.split() for line in stat.read_text().splitlines()) if stat.is_file() else {}
    return int(rows.get("inactive_file", 0))


def free_device_memory() -> int | None:
    """Bytes free on the GPU with the least, of those that this process may use; None where none can be asked."""
    command = ["nvidia-smi", "--query-gpu=memory.free", "--format=csv,noheader,nounits"]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible:
        command.append(f"--id={visible}")
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=3, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    numbers = [int(line) for line in said.split() if line.isdigit()]
    return min(numbers) << 20 if numbers else None
