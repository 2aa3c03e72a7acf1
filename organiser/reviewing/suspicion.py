"""What an organiser should look at: near-copies between teams, copies of references, jumps. A list, no verdict."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contest.disk.shipped import references_folder
from organiser.books.ledger import Entry, Score
from organiser.books.states import WITH_SCORE
from organiser.desk import Desk
from organiser.settings.event import PUBLIC, Suspicion

if TYPE_CHECKING:
    from PIL import Image

NEAR_COPY, REFERENCE, JUMP = "near-copy", "copy of a reference", "jump"
KINDS = (NEAR_COPY, REFERENCE, JUMP)
# Pictures are compared without a rim, which may be moved by as much: copies that were shifted by up to a sixteenth of
# their side, cropped by a thirtieth, rescaled, recompressed or blurred differ by 8 bits at most in two thirds of the
# pictures and more, entries of one method with two seeds on the toy contest, which are small and flat, in a quarter.
_RIM = 3 / 64  # of a side
_MOVES = tuple((right, down) for down in (-1, 0, 1) for right in (-1, 0, 1))
_STILL = _MOVES.index((0, 0))
Looks = Mapping[str, Sequence[int]]  # "<style>/<name>.png" -> hashes of the whole, and without its rim by _MOVES


@dataclass(frozen=True)
class Suspect:
    """One thing to look at. `strength` is a share of pictures, or a difference of Finals; of a kind, the largest first.

    `teams` are in the order of `entries`.
    """

    kind: str
    entries: tuple[int, ...]
    teams: tuple[str, ...]
    strength: float
    said: str


@dataclass(frozen=True)
class Review:
    """What is to be looked at in how many entries, and what could not be compared."""

    entries: int
    suspects: tuple[Suspect, ...]
    remarks: tuple[str, ...]


def review(desk: Desk, progress: Callable[[int, int], None] = lambda done, total: None) -> Review:
    """Everything that is to be looked at in the scored entries; an archive's pictures are read in the first call only.

    OSError: an archive is gone.
    """
    version, rule = desk.ledger.get("scorer"), desk.event.suspicion
    entries = desk.ledger.entries(*WITH_SCORE)
    looks = desk.ledger.looks()
    for done, entry in enumerate(entries):
        progress(done, len(entries))
        if entry.sha256 not in looks:
            looks[entry.sha256] = look(desk, entry)
            desk.ledger.add_looks(entry.sha256, looks[entry.sha256])
    progress(len(entries), len(entries))
    references, remarks = _references(desk)
    scores = {} if version is None else desk.ledger.scores(version, PUBLIC)
    found = [
        *near_copies(entries, looks, rule),
        *copies_of_references(entries, looks, references),
        *jumps(entries, scores, rule.jump),
    ]
    found.sort(key=lambda one: (KINDS.index(one.kind), -one.strength, one.entries))
    return Review(len(entries), tuple(found), tuple(remarks))


def look(desk: Desk, entry: Entry) -> dict[str, list[int]]:
    """The difference hashes of each of an entry's pictures, which were found good before."""
    from PIL import Image

    from contest.entry.contents import open_contents

    wanted = {f"{style}/{name}.png" for style, names in desk.contest.styles.items() for name in names}
    looks = {}
    with open_contents(desk.archive(entry), desk.contest.limits) as listing:
        for item in listing.items:
            if item.path in wanted:
                with Image.open(io.BytesIO(item.read()), formats=["PNG"]) as image:
                    looks[item.path] = hashes_of(image)
    return looks


def hashes_of(image: Image.Image) -> list[int]:
    """Ten difference hashes: of the whole picture, and of it without its rim, moved by `_MOVES`."""
    from contest.entry.pixels import grey_of
    from submission.rules.alike import difference_hash

    grey = grey_of(image)
    rim, bottom = _RIM * grey.width, _RIM * grey.height
    hashes = [difference_hash(grey)]
    for right, down in _MOVES:
        left, top = rim * (1 + right), bottom * (1 + down)
        hashes.append(difference_hash(grey, (left, top, left + grey.width - 2 * rim, top + grey.height - 2 * bottom)))
    return hashes


def near_copies(entries: Sequence[Entry], looks: Mapping[str, Looks], rule: Suspicion) -> Iterator[Suspect]:
    """Pairs of entries of different teams of which at least the rule's share of the pictures look alike.

    They may be moved, all of them alike. Of all pairs of two teams the most alike is given, of those the earliest.
    """
    import numpy as np

    names = sorted({name for entry in entries for name in looks[entry.sha256]})
    if not names:
        return
    nothing = [0] * (1 + len(_MOVES))
    rows = [[looks[entry.sha256].get(name, nothing)[1:] for name in names] for entry in entries]
    table = np.array(rows, np.uint64)  # N,P,9
    counts = np.array([bin(value).count("1") for value in range(1 << 16)], np.uint8)  # of set bits
    best: dict[frozenset[str], Suspect] = {}
    for place, entry in enumerate(entries):
        others = entries[place + 1 :]
        apart = table[place + 1 :] ^ table[place, :, _STILL, None]  # N,P,9
        bits = counts[apart.view(np.uint16).reshape(*apart.shape, 4)].sum(axis=3, dtype=np.uint8)
        shares = (bits <= rule.bits).mean(axis=1).max(axis=1).tolist() if others else []
        for other, share in zip(others, shares):
            teams = frozenset((entry.team, other.team))
            if len(teams) < 2 or share < rule.share or (teams in best and share <= best[teams].strength):
                continue
            what = "the same archive" if other.sha256 == entry.sha256 else f"{share:.0%} of the pictures look alike"
            said = f"{what}; entry {entry.id} came first"
            best[teams] = Suspect(NEAR_COPY, (entry.id, other.id), (entry.team, other.team), share, said)
    yield from best.values()


def copies_of_references(
    entries: Sequence[Entry], looks: Mapping[str, Looks], references: Mapping[str, Mapping[str, int]]
) -> Iterator[Suspect]:
    """Entries with pictures that look like a reference of their style; `references` is style -> name -> hash."""
    from submission.rules.alike import copied_from

    for entry in entries:
        own = looks[entry.sha256]
        copies = {
            path: name
            for path, hashes in sorted(own.items())
            if (name := copied_from(hashes[0], references.get(path.split("/")[0], {}))) is not None
        }
        if copies:
            path, name = next(iter(copies.items()))
            said = f"{len(copies)} of {len(own)} pictures look like references, such as {path} like {name}"
            yield Suspect(REFERENCE, (entry.id,), (entry.team,), len(copies) / len(own), said)


def jumps(entries: Sequence[Entry], scores: Mapping[tuple[str, str], Score], most: float) -> Iterator[Suspect]:
    """Entries whose Final is more than `most` above the team's best before; `entries` are in the order they came."""
    best: dict[str, float] = {}
    for entry in entries:
        score = scores.get((entry.sha256, PUBLIC))
        if score is None or not math.isfinite(score.figures["final"]):
            continue
        final, before = score.figures["final"], best.get(entry.team)
        if before is not None and final - before > most:
            said = f"Final {final:.4f}; the team's best before was {before:.4f}"
            yield Suspect(JUMP, (entry.id,), (entry.team,), final - before, said)
        best[entry.team] = final if before is None else max(before, final)


def _references(desk: Desk) -> tuple[Mapping[str, Mapping[str, int]], list[str]]:
    """Style -> name -> difference hash, and what could not be looked at."""
    from submission.rules.references import look_at

    if desk.pictures is None:
        return {}, ["the references are a pack, which has no pictures; nothing is compared with them"]
    hashes, unseen = look_at(references_folder(desk.pictures), tuple(desk.contest.styles))
    return hashes, [f"{one.path} {one.message}; {one.hint}" for one in unseen]
