"""Two entries that lie in different folders, so that no file of one is beside its like in the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from contest.names import PICTURE_ENDINGS
from submission.diff.compare import Pair


def folders_apart(pairs: Sequence[Pair]) -> tuple[str, str] | None:
    """The folder of A and that of B, as "mine/" or "" for the top, below which they hold the same names.

    None where some name is in both as it is, and where fewer than half of the smaller entry's pictures are found so.
    """
    pictures = [pair for pair in pairs if pair.path.lower().endswith(PICTURE_ENDINGS)]
    if any(pair.a is not None and pair.b is not None for pair in pictures):
        return None
    before = [pair.path for pair in pictures if pair.a is not None]
    after = [pair.path for pair in pictures if pair.b is not None]
    tops = {below: top for path in before for top, below in _cuts(path)}
    found = Counter(
        next(((tops[below], top) for top, below in _cuts(path) if below in tops), ("", "")) for path in after
    )
    del found["", ""]
    both = max(found, key=lambda tops: found[tops], default=None)
    return both if both is not None and 2 * found[both] >= min(len(before), len(after)) else None


def _cuts(path: str) -> Iterator[tuple[str, str]]:
    """("", "a/b/c.png"), ("a/", "b/c.png"), ("a/b/", "c.png")."""
    parts = path.split("/")
    for depth in range(len(parts)):
        yield "".join(f"{part}/" for part in parts[:depth]), "/".join(parts[depth:])
