"""Which folder of references is meant by a name, and where they lie when that one holds none."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from contest.disk.shipped import references_folder
from contest.errors import UserError
from contest.names import is_system

_LAYOUT = "<style>/images/*.png and <style>/prompt.json"
_PACK = ".npz"  # what jdart-eval references pack writes
_DEEP = 2  # folders down from one that was named too high


def require_references(name: str | os.PathLike[str], styles: Sequence[str]) -> Path:
    """The folder that `--references` names. UserError: it is none, a pack, or holds none of the styles."""
    folder = references_folder(name)
    if os.path.isfile(folder):
        what = "a pack of references, which holds no pictures" if folder.suffix == _PACK else "a file, not a folder"
        raise UserError(f"{folder}: {what}; give the folder with {_LAYOUT}")
    if not os.path.isdir(folder):
        raise UserError(f"{folder}: no such folder; give the one with {_LAYOUT}")
    if not styles:
        raise UserError(f"{folder}: this contest has no styles, and so no references; leave --references out")
    if not _has_styles(folder, styles):
        shown = ", ".join(styles[:3]) + (", ..." if len(styles) > 3 else "")
        raise UserError(f"{folder}: has no references of the styles {shown}; {where_references_lie(folder, styles)}")
    return folder


def where_references_lie(folder: Path, styles: Iterable[str] | None = None) -> str:
    """What to give in place of a folder that lies too high or too low; of any styles when none are named."""
    for above in folder.absolute().parents[:2]:
        style = folder.absolute().relative_to(above).parts[0]
        if _has_styles(above, [style]) and (styles is None or style in styles):
            return f"it lies too low, give {above}"
    found = list(_below(folder, styles, _DEEP))
    if len(found) == 1:
        return f"it lies too high, give {found[0]}"
    return f"give the folder with {_LAYOUT}" + (f", such as {found[0]}" if found else "")


def _has_styles(folder: Path, styles: Iterable[str] | None) -> bool:
    names = _folders(folder) if styles is None else styles
    return any((folder / name / "images").is_dir() or (folder / name / "prompt.json").is_file() for name in names)


def _below(folder: Path, styles: Iterable[str] | None, deep: int) -> Iterator[Path]:
    for name in _folders(folder):
        if _has_styles(folder / name, styles):
            yield folder / name
        elif deep > 1:
            yield from _below(folder / name, styles, deep - 1)


def _folders(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if not is_system(path.name) and path.is_dir())
    except OSError:
        return []
