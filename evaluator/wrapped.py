"""Where the style folders of an entry are that has none of them at its top."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from evaluator.entry import Entry
from submission.checks import CHECKS
from submission.layout import wrapper

_DEPTH = 4  # folders looked into


def without_styles(entry: Entry, styles: Iterable[str]) -> str:
    """What to say of an entry that holds none of `styles`; as the submission's check, where they lie too deep."""
    styles = list(styles)
    folder = entry.home if entry.home.is_dir() else None
    paths = [f"{top}/{name}" for top, names in entry.files.items() for name in names]
    prefix = wrapper(paths if folder is None else _walk(folder, "", _DEPTH), styles)
    if not prefix:
        return f"holds none of the style folders {', '.join(styles)}"
    check = CHECKS["S110"]
    cure = check.hint if folder is None else f"give {folder / prefix}, or {check.hint}"
    return f"{check.title}: the style folders are in {prefix}; {cure}"


def _walk(folder: Path, below: str, depth: int) -> Iterator[str]:
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    for name in names:
        yield f"{below}{name}"
        if depth > 1:
            yield from _walk(folder / name, f"{below}{name}/", depth - 1)
