"""Where the style folders of an entry are that has none of them at its top: further down, or above it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from contest.entry.wrapper import wrapper
from contest.findings import CHECKS
from evaluator.inputs.entry import Entry

_DEPTH = 4  # folders looked into, one in another
_MOST = 20_000  # folders in all, should somebody give a whole disk


def without_styles(entry: Entry, styles: Iterable[str]) -> str:
    """What to say of an entry that holds none of `styles`; as the submission's check, where it has a rule for it."""
    styles = list(styles)
    folder = entry.home if entry.home.is_dir() else None
    paths = [f"{top}/{name}" for top, names in entry.files.items() for name in names]
    prefix = wrapper(paths if folder is None else islice(_walk(folder, "", _DEPTH), _MOST), styles)
    if not prefix and entry.loose:
        around = "" if folder is None or folder.resolve().name not in styles else f", {_around(folder.resolve())}"
        return f"holds pictures outside of style folders; give the folder that holds all style folders{around}"
    if not prefix:
        return f"holds none of the style folders {', '.join(styles)}"
    check = CHECKS["S110"]
    cure = check.hint if folder is None else f"give {folder / prefix}, or {check.hint}"
    return f"{check.title}: the style folders are in {prefix}; {cure}"


def _around(style: Path) -> Path:
    run = style.parents[1] if len(style.parts) > 2 else style.parent
    return run if (run / "run.json").is_file() else style.parent


def _walk(folder: Path, below: str, depth: int) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:  # not for this user: whatever is in it, it cannot be scored
        return
    for name in names:
        yield f"{below}{name}"
        if depth > 1:
            yield from _walk(folder / name, f"{below}{name}/", depth - 1)
