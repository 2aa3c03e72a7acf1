"""The board's own code, as one hash: what an earlier version made or noted is not taken for what this one would."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

_HERE = Path(__file__).parent
_SOURCES = ("**/*.py", "templates/*", "static/*", "locale/*.json")


@lru_cache
def code_digest() -> str:
    """A hash of the board's code, templates, styles and words: when they change, so do the pages."""
    found = hashlib.sha256()
    for pattern in _SOURCES:
        for path in sorted(_HERE.glob(pattern)):
            if path.is_file():
                found.update(f"{path.relative_to(_HERE).as_posix()}\0".encode())
                found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()
