"""Two entries, picture by picture: what was added, removed or changed. Pixels count, not bytes."""

from __future__ import annotations

import io
import os
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from submission.contents import MANIFEST, open_contents
from submission.contest import Limits
from submission.errors import UserError
from submission.listing import BadItem, Item
from submission.source import open_source

if TYPE_CHECKING:
    import numpy as np

SAME, REPACKED, CHANGED, ADDED, REMOVED = "same", "repacked", "changed", "added", "removed"
STATES = (SAME, REPACKED, CHANGED, ADDED, REMOVED)
_DIFFERENT = (CHANGED, ADDED, REMOVED)


@dataclass(frozen=True)
class Change:
    """What became of one file from A to B.

    "repacked" are equal pixels in another file. `difference` is the mean absolute difference of the pixels' red, green
    and blue, 0 to 255; None where there is none to take, for which `note` gives the reason.
    """

    path: str
    state: str
    difference: float | None = None
    note: str = ""

    @property
    def style(self) -> str | None:
        """The first folder of `path`, or None for a file that lies in none."""
        return self.path.split("/")[0] if "/" in self.path else None


@dataclass(frozen=True)
class Pair:
    """One file of two entries; either may be None, not both."""

    path: str
    a: Item | None
    b: Item | None


@contextmanager
def open_pairs(a: str | os.PathLike[str], b: str | os.PathLike[str]) -> Iterator[tuple[Pair, ...]]:
    """The files of two entries (run folders, folders or zips), sorted by path; readable inside the block only.

    Their manifests are left out. UserError: not an entry, or an archive that is not to be trusted.
    """
    with ExitStack() as stack:
        listed = [_files(stack, path) for path in (a, b)]
        yield tuple(Pair(path, listed[0].get(path), listed[1].get(path)) for path in sorted({*listed[0], *listed[1]}))


def compare_entries(pairs: Sequence[Pair]) -> list[Change]:
    """What became of every file. Two pictures are in memory at a time."""
    return [_compare(pair) for pair in pairs]


def is_same(changes: Sequence[Change]) -> bool:
    """Have the entries the same pictures, whatever files they are in?"""
    return not any(change.state in _DIFFERENT for change in changes)


def count_states(changes: Sequence[Change]) -> dict[str, int]:
    """How many files are in which state, all states in their order."""
    counts = Counter(change.state for change in changes)
    return {state: counts[state] for state in STATES}


def mean_difference(changes: Sequence[Change]) -> float | None:
    """The mean over the pictures that both have, those that are the same included; None without any."""
    known = [change.difference for change in changes if change.difference is not None]
    return sum(known) / len(known) if known else None


def read_pixels(item: Item) -> np.ndarray:
    """The picture as H,W,4 uint8. ValueError says why there is none; BadItem: its bytes cannot be had."""
    import numpy as np
    from PIL import Image

    data = item.read()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sizes and odd EXIF, both of no matter here
            with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
                width, height = image.size
                if max(width, height) <= Limits().side:
                    return np.asarray(image.convert("RGBA"))
    except Exception as error:  # Pillow's decoders raise whatever damaged bytes provoke
        raise ValueError("is not a readable PNG") from error
    raise ValueError(f"is {width}x{height}, too large to compare")


def _files(stack: ExitStack, path: str | os.PathLike[str]) -> dict[str, Item]:
    listing = stack.enter_context(open_contents(open_source(path).pictures))
    if listing.findings:
        raise UserError(f"{path}: {listing.findings[0]}; see all with: jdart-submit check {path}")
    return {item.path: item for item in listing.items if item.kind == "file" and item.path != MANIFEST}


def _compare(pair: Pair) -> Change:
    if pair.a is None or pair.b is None:
        return Change(pair.path, ADDED if pair.a is None else REMOVED)
    picture = pair.path.lower().endswith(".png")
    try:
        if pair.a.size == pair.b.size and pair.a.read() == pair.b.read():
            return Change(pair.path, SAME, 0.0 if picture else None)
        if not picture:
            return Change(pair.path, CHANGED, note="not a picture")
        return _compare_pixels(pair.path, read_pixels(pair.a), read_pixels(pair.b))
    except (BadItem, ValueError) as error:
        return Change(pair.path, CHANGED, note=str(error))


def _compare_pixels(path: str, before: np.ndarray, after: np.ndarray) -> Change:
    import numpy as np

    if before.shape != after.shape:
        sizes = (f"{pixels.shape[1]}x{pixels.shape[0]}" for pixels in (before, after))
        return Change(path, CHANGED, note=" -> ".join(sizes))
    if np.array_equal(before, after):
        return Change(path, REPACKED, 0.0)
    distance = np.abs(before[..., :3].astype(np.int16) - after[..., :3])
    return Change(path, CHANGED, float(distance.mean()))
