"""Are these the pictures that the entry's own settings draw? Some of them are drawn again, by `jdart redraw`.

It is a process of its own, since this package does not import jdart. Of the archive only PNG notes and safetensors
files are used, neither of which can hold code.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Optional

from contest.disk.files import write_bytes, write_json
from contest.disk.shipped import place_in_run, references_folder
from contest.errors import UserError
from organiser.books.ledger import Entry
from organiser.books.states import WITH_SCORE
from organiser.desk import Desk
from organiser.settings.event import Reproduction

JDART = (sys.executable, "-m", "jdart")
REPRODUCED, OTHER, UNDECIDED = "reproduced", "not reproduced", "undecided"


@dataclass(frozen=True)
class Redrawn:
    """One picture: by how much (mean absolute difference of its channels, 0 to 255) the new one differs.

    None where there is nothing to compare, for which `said` gives the reason.
    """

    picture: str
    difference: Optional[float]
    good: bool
    said: str = ""


@dataclass(frozen=True)
class Result:
    """What came of an entry, in the folder `place`. Undecided: pictures that could not be drawn would decide."""

    place: Path
    outcome: str
    pictures: tuple[Redrawn, ...]


def reproduce(desk: Desk, entry: Entry, command: Sequence[str] = JDART) -> Result:
    """Draw some of an entry's pictures again, and compare by the rule in the event's file; the log has the outcome.

    Which ones follows from the log's line of its receipt: the same in every call, and nothing a team can choose its
    archive by. UserError: no base model in the rules, or an archive that is not scored, or without LoRA files.
    """
    rule = desk.event.reproduction
    if rule is None:
        raise UserError("the rules name no base model to draw with; add to them: reproduction: {base: ...}")
    if entry.state not in WITH_SCORE:
        raise UserError(
            f"entry {entry.id} is {entry.state}; only what is scored, and so was found good, is drawn again"
        )
    home = desk.place(entry) / "reproductions"
    place = home / f"{1 + (len(list(home.iterdir())) if home.is_dir() else 0):03d}"
    names, loras = _unpack(desk, entry, place / "sent", rule.pictures)
    call = [*command, "redraw", "--base", _base(desk, rule), "--device", "auto"]
    if desk.pictures is not None:
        call += ["--references", str(references_folder(desk.pictures).resolve())]
    call += [word for lora in loras for word in ("--lora", str(lora.resolve()))]
    pictures = tuple(_redraw(call, place, name, rule) for name in names)
    outcome = decide(pictures, rule.share)
    told = {"outcome": outcome, "reproduced": sum(one.good for one in pictures), "pictures": len(pictures)}
    value = {"schema_version": 1, "entry": entry.id, "rule": asdict(rule), **told}
    write_json(place / "reproduction.json", {**value, "drawn": [asdict(one) for one in pictures]})
    desk.ledger.note("reproduction", entry=entry.id, **told)
    return Result(place, outcome, pictures)


def decide(pictures: Sequence[Redrawn], share: float) -> str:
    """What the rule says; what could not be drawn may be the organiser's own lack, and speaks for neither side."""
    good = sum(one.good for one in pictures)
    open_ones = sum(one.difference is None for one in pictures)
    if good >= share * len(pictures):
        return REPRODUCED
    return UNDECIDED if good + open_ones >= share * len(pictures) else OTHER


def _base(desk: Desk, rule: Reproduction) -> str:
    """The base model's folder, relative to the rules, or its name."""
    place = place_in_run(desk.home, rule.base)
    return str(place.resolve()) if place.is_dir() else rule.base


def _unpack(desk: Desk, entry: Entry, place: Path, few: int) -> tuple[list[str], list[Path]]:
    """The names of the pictures to draw and all LoRA files, which are put into a folder of their own."""
    from contest.entry.contents import open_contents
    from contest.entry.listing import BadItem
    from submission.packing.manifest import usable_manifest, weights_of

    assert entry.receipt is not None
    lot = desk.ledger.line_hash(entry.receipt)
    with open_contents(desk.archive(entry), desk.contest.limits) as listing:
        there = {item.path: item for item in listing.items if item.kind == "file"}
        manifest = usable_manifest(listing.items)
        said = set() if manifest is None else weights_of(manifest)
        loras = sorted(path for path in said if path.endswith(".safetensors") and path in there)
        if not loras:
            raise UserError(
                f"entry {entry.id} has no LoRA files as safetensors; ask {entry.team} for the archive of: "
                "jdart-submit build --include-weights"
            )
        chosen = []
        for style, prompts in desk.contest.styles.items():
            drawn = random.Random(f"{lot} {style}").sample(sorted(prompts), min(few, len(prompts)))
            chosen += [name for name in (f"{style}/{prompt}.png" for prompt in sorted(drawn)) if name in there]
        if not chosen:
            raise UserError(f"entry {entry.id} has no pictures to draw again; retry it, so that it is checked anew")
        try:
            for path in (*loras, *chosen):
                write_bytes(place / path, there[path].read())
        except BadItem as bad:
            raise UserError(f"entry {entry.id}: {bad}; see what was changed with: jdart-organise audit") from bad
    return chosen, [place / path for path in loras]


def _redraw(call: Sequence[str], place: Path, name: str, rule: Reproduction) -> Redrawn:
    sent, drawn = place / "sent" / name, place / "drawn" / name
    drawn.parent.mkdir(parents=True, exist_ok=True)
    words = [*call, "--output", str(drawn.resolve()), str(sent.resolve())]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=60 * rule.minutes, check=False)
    except subprocess.TimeoutExpired:
        return Redrawn(name, None, False, f"was not drawn in {rule.minutes:g} minutes")
    if not drawn.is_file():
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        return Redrawn(name, None, False, lines[-1] if lines else f"jdart redraw ended with {done.returncode}")
    return _compare(name, sent, drawn, rule.difference)


def _compare(name: str, sent: Path, drawn: Path, most: float) -> Redrawn:
    from contest.entry.listing import Item
    from submission.diff.compare import Pair, compare_entries

    items = (Item(name, "file", path.stat().st_size, path.read_bytes) for path in (sent, drawn))
    (change,) = compare_entries([Pair(name, *items)])
    good = change.difference is not None and change.difference <= most
    return Redrawn(name, change.difference, good, change.note)
