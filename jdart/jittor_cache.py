"""Where Jittor keeps what it compiles, and what would keep it from doing so. Nothing here imports Jittor."""

from __future__ import annotations

import json
import os
from pathlib import Path

from contest.disk.places import unwritable, user_home
from contest.errors import UserError

CACHE = Path(".cache", "jittor")  # below a home folder
_HOME_CURE = "set HOME to a folder that can be written"


def jittor_home() -> Path:
    """The folder below which Jittor keeps its `.cache/jittor`: $JITTOR_HOME, what it was at some time, or the user's.

    Jittor writes the variable's value into its settings, and takes it from there once the variable is gone. UserError
    for what Jittor could not work with, with the cure.
    """
    found = obstacle()
    if found is not None:
        raise UserError("; ".join(found))
    home = user_home()
    assert home is not None
    return _chosen(home)


def obstacle() -> tuple[str, str] | None:
    """Why Jittor could not keep what it compiles here, and the cure; None where it can.

    Its settings always lie below HOME, wherever the rest is: JITTOR_HOME alone does not help.
    """
    home = user_home()
    if home is None:
        return "there is no home folder, below which Jittor keeps what it compiles", _HOME_CURE
    problem = _unfit(home / CACHE)
    if problem is not None:
        return f"{problem}, and Jittor keeps there what it compiles", _HOME_CURE
    try:
        chosen = _chosen(home)
    except (OSError, ValueError, TypeError, AttributeError):
        return f"{_settings(home)} is damaged", "remove that file, Jittor writes it anew"
    problem = _unfit(chosen / CACHE)
    if problem is not None:
        return f"{problem}, and Jittor keeps there what it compiles", "set JITTOR_HOME to a folder that can be written"
    return None


def _chosen(home: Path) -> Path:
    named = os.environ.get("JITTOR_HOME")
    if named:
        return Path(named).absolute()
    try:
        return Path(json.loads(_settings(home).read_text("utf-8")).get("JITTOR_HOME", home)).absolute()
    except FileNotFoundError:
        return home


def _settings(home: Path) -> Path:
    return home / CACHE / "config.json"


def _unfit(folder: Path) -> str | None:
    """Why what is loaded as code cannot be kept below `folder`, which need not be there; None where it can."""
    problem = unwritable(folder)
    if problem is not None:
        return problem
    while not os.path.isdir(folder):
        folder = folder.parent
    executable = not os.statvfs(folder).f_flag & os.ST_NOEXEC
    return None if executable else f"{folder} is on a disk whose files cannot be executed (noexec)"
