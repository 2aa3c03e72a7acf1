"""Where a user's things are: the home folder, and in it the cache. Neither need be there, or writable."""

from __future__ import annotations

import os
from pathlib import Path

NO_CACHE = "there is no home folder to keep a cache in; set JDART_CACHE to a folder that can be written"


def user_home() -> Path | None:
    """The user's home folder, as it is called; None where there is none: no HOME, and no line in passwd."""
    try:
        home = Path.home()
    except (RuntimeError, KeyError):
        return None
    return home if home.is_absolute() else None


def unwritable(folder: Path) -> str | None:
    """Why nothing can be written below `folder`, which need not be there; None where it can. Nothing is tried."""
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    if not os.path.isdir(folder):
        return f"{folder} is not a folder"
    return None if os.access(folder, os.W_OK | os.X_OK) else f"{folder} cannot be written"


def user_cache() -> Path | None:
    """$JDART_CACHE, else jdart in the user's cache folder; None for a user without a home."""
    named = os.environ.get("JDART_CACHE")
    if named:
        return Path(named)
    shared = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(shared):
        return Path(shared) / "jdart"
    home = user_home()
    return None if home is None else home / ".cache" / "jdart"
