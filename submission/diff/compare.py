"""Two entries, picture by picture: what was added, removed or changed. Pixels count, not bytes."""

from __future__ import annotations

import io
import os
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contest.definition import Limits
from contest.entry.contents import MANIFEST, WHOLE, open_contents
from contest.entry.listing import BadItem, Item
from contest.entry.pixels import read_exact, to_eight_bits
from contest.entry.png import colour_digest, colour_space, frames_digest, read_chunks, read_header
from contest.errors import UserError
from contest.names import PICTURE_ENDINGS
from submission.packing.source import open_source

if TYPE_CHECKING:
    import numpy as np

SAME, REPACKED, CHANGED, ADDED, REMOVED = "same", "repacked", "changed", "added", "removed"
STATES = (SAME, REPACKED, CHANGED, ADDED, REMOVED)
_ORIENTATION = 0x0112  # EXIF tag
_LEVELS = 257  # of 16 bits to one of 8
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
    """The picture as H,W,4 uint8, for a sheet. ValueError says why there is none; BadItem: its bytes cannot be had."""
    return to_eight_bits(_look(item).pixels)


@dataclass(frozen=True)
class _Look:
    """All that decides what a picture shows: H,W,4 uint8 or uint16 and, in words, what readers may heed beside it."""

    pixels: np.ndarray
    beside: Mapping[str, str]


def _look(item: Item) -> _Look:
    from PIL import Image

    data = item.read()
    try:
        chunks, end = read_chunks(data)
        header = read_header(chunks)
        if max(header.width, header.height) <= Limits().side:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of odd EXIF, of which the orientation matters
                with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
                    orientation = str(image.getexif().get(_ORIENTATION, 1))
                pixels = read_exact(data[:end])
            space, frames = colour_space(chunks), frames_digest(chunks)
            beside = {
                "EXIF orientation": orientation,
                "colours": "sRGB" if space is None else f"{space} {colour_digest(chunks)}",
                "frames": "one" if frames is None else f"several ({frames[:8]})",
            }
            return _Look(pixels, beside)
    except Exception as error:  # Pillow's decoders raise whatever damaged bytes provoke
        raise ValueError("is not a readable PNG") from error
    raise ValueError(f"is {header.width}x{header.height}, too large to compare")


def _files(stack: ExitStack, path: str | os.PathLike[str]) -> dict[str, Item]:
    listing = stack.enter_context(open_contents(open_source(path).pictures, depth=WHOLE))
    if listing.findings:
        raise UserError(f"{path}: {listing.findings[0]}; see all with: jdart-submit check {path}")
    files = {item.path: item for item in listing.items if item.kind == "file" and item.path != MANIFEST}
    if not any(name.lower().endswith(PICTURE_ENDINGS) for name in files):
        raise UserError(f"{path}: no picture in it; give a run folder, a folder of style folders, or a zip of them")
    return files


def _compare(pair: Pair) -> Change:
    if pair.a is None or pair.b is None:
        return Change(pair.path, ADDED if pair.a is None else REMOVED)
    picture = pair.path.lower().endswith(".png")
    try:
        if pair.a.size == pair.b.size and pair.a.read() == pair.b.read():
            return Change(pair.path, SAME, 0.0 if picture else None)
        if not picture:
            return Change(pair.path, CHANGED, note="not a picture")
        return _compare_looks(pair.path, _look(pair.a), _look(pair.b))
    except (BadItem, ValueError) as error:
        return Change(pair.path, CHANGED, note=str(error))


def _compare_looks(path: str, a: _Look, b: _Look) -> Change:
    import numpy as np

    before, after = a.pixels, b.pixels
    if before.shape != after.shape:
        sizes = (f"{pixels.shape[1]}x{pixels.shape[0]}" for pixels in (before, after))
        return Change(path, CHANGED, note=" -> ".join(sizes))
    if before.dtype != after.dtype:  # 8 bits beside 16
        before, after = (
            pixels if pixels.dtype == np.uint16 else pixels.astype(np.uint16) * _LEVELS for pixels in (before, after)
        )
    note = ", ".join(f"{what}: {said} -> {b.beside[what]}" for what, said in a.beside.items() if said != b.beside[what])
    same = np.array_equal(before, after)
    if same and not note:
        return Change(path, REPACKED, 0.0)
    distance = np.abs(before[..., :3].astype(np.int32) - after[..., :3])
    if not same and not distance.any():
        note = ", ".join(filter(None, ("in transparency only", note)))
    scale = 1 if before.dtype == np.uint8 else _LEVELS
    return Change(path, CHANGED, float(distance.mean()) / scale, note)
