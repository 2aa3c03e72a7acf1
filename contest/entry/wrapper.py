"""An entry that was packed with the folder around it: which folder the style folders lie in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

from contest.names import is_system


def wrapper(paths: Iterable[str], known: Iterable[str], loose: Callable[[str], str] = str) -> str | None:
    """The folder, as "outputs/images/", in which an entry lies; "" for the top, None where it lies nowhere.

    `paths` are all of files and folders, `loose` says which names count as one of `known`. Of several such folders the
    outermost counts, and of those the one that holds the most; None where two hold as many.
    """
    wanted = set(map(loose, known))
    held: dict[str, set[str]] = defaultdict(set)
    for path in paths:
        parts = path.split("/")
        for depth, part in enumerate(parts):
            if is_system(part):
                break
            if loose(part) in wanted:
                held["".join(f"{one}/" for one in parts[:depth])].add(loose(part))
                break
    ranks = {prefix: (-prefix.count("/"), len(names)) for prefix, names in held.items()}
    best = [prefix for prefix, rank in ranks.items() if rank == max(ranks.values())]
    return best[0] if len(best) == 1 else None
