"""What an entry's files look like to its checks, wherever they lie: names first, bytes only when asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from contest.findings import Finding


@dataclass(frozen=True)
class Item:
    """One name in the listing. `path` is relative, with `/`; `kind` is "file", "folder", "broken link" or "other".

    `size` is in bytes, as it is claimed. `read` raises BadItem when the bytes cannot be had.
    """

    path: str
    kind: str
    size: int
    read: Callable[[], bytes]


@dataclass(frozen=True)
class Listing:
    """What could safely be listed, sorted by path, and what is wrong with the archive that it lies in.

    An archive with findings is not to be trusted: its names may be judged, its pictures are not decoded. `whole` is
    False where it has entries whose names say nothing for certain, and that are in `findings` only.
    """

    items: tuple[Item, ...]
    findings: tuple[Finding, ...] = ()
    whole: bool = True


class BadItem(Exception):
    """The bytes of an item cannot be had: the code of a finding, and its message."""

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code
