"""What --devices and --executor may say: where the styles' processes run, and on how many threads each."""

from __future__ import annotations

from contest.cores import cores
from contest.errors import UserError

EXECUTORS = ("processes", "ray")


def parse_devices(text: str, executor: str) -> tuple[str, ...]:
    """The workers that --devices asks for: "0,2" are two GPUs by number, "cpu,cpu" two workers on the CPU.

    On Ray, whose cluster numbers the devices, "cuda" is any GPU. Raises UserError for anything else.
    """
    names = tuple(name.strip() for name in text.split(","))
    good = all(name == "cpu" or (name == "cuda" if executor == "ray" else name.isdecimal()) for name in names)
    if not good or len({name == "cpu" for name in names}) != 1:
        known = "cuda or cpu" if executor == "ray" else "GPU numbers such as 0,1, or cpu"
        raise UserError(f"--devices {text}: write {known}, one for each worker; not both kinds at once")
    numbers = [name for name in names if name.isdecimal()]
    if len(set(numbers)) != len(numbers):
        raise UserError(f"--devices {text}: a GPU is named twice; name each once")
    return names


def threads_for(workers: int) -> int:
    """CPU threads for each of so many workers on this machine."""
    return max(1, cores() // workers)
