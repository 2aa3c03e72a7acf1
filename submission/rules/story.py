"""The rules of a story: enough pictures, each with its prompt, and a sheet that shows them all."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from contest.definition import Contest, Story
from contest.disk.files import read_json
from contest.entry.contents import MANIFEST
from contest.entry.gate import GATE_FILE, read_gate
from contest.entry.listing import BadItem, Item
from contest.errors import UserError
from contest.findings import Finding, finding
from contest.names import PICTURE_ENDINGS, is_system, loose_name, match, misspelling, printable
from submission.rules.layout import no_file, second_spelling, without_system
from submission.rules.pictures import Picture, equal_pixels, inspect_items, post_processed, wrong_sizes
from submission.rules.story_prompts import read_prompts

_ASPECT = 0.05  # how far a cell's aspect may be from the pictures': room for a thin frame


def check_story(listed: Sequence[Item], contest: Contest, story: Story, decode: bool) -> list[Finding]:
    """Every finding about an entry that is a story. Its files lie side by side; only the two known names are fixed."""
    items, findings = without_system(listed)
    files: dict[str, Item] = {}
    hint = f"remove it; a story is its pictures, {story.prompts} and {story.sheet}"
    for item in items:
        if "/" in item.path:
            continue  # its folder is a finding
        if item.kind == "folder":
            findings.append(finding("S106", f"{item.path}/", "is a folder; a story's files lie side by side", hint))
        elif item.kind != "file":
            findings.append(no_file(item))
        elif item.path != MANIFEST:
            files[item.path] = item
    meant = match(files, (story.prompts, story.sheet), loose_name)
    known = {wanted: files[name] for name, wanted in meant.items()}
    for name, wanted in meant.items():
        if name != wanted:
            code, why = misspelling(name, wanted)
            findings.append(finding(code, name, f"should be {wanted}{why}", "rename it"))
    pictures: dict[str, Item] = {}
    for name, item in files.items():
        if name in meant:
            continue
        if not name.lower().endswith(PICTURE_ENDINGS):
            findings.append(finding("S107", name, "is not a picture", hint))
            continue
        if name.casefold() in map(str.casefold, pictures):
            first = next(one for one in pictures if one.casefold() == name.casefold())
            findings.append(second_spelling(name, name, first))
        elif not name.lower().endswith(".png"):
            findings.append(finding("S105", name, "does not end in .png", "save it as PNG and name it so"))
        pictures[name] = item
    if len(pictures) < story.pictures:
        findings.append(finding("S501", ".", f"has {len(pictures)} pictures; the contest asks for {story.pictures}"))
    findings += _check_prompts(known.get(story.prompts), pictures, story)
    sheet = known.get(story.sheet)
    seen = inspect_items([*pictures.values(), *([] if sheet is None else [sheet])], contest.limits, decode)
    findings += [one for picture in seen.values() for one in picture.findings]
    shown = None if sheet is None else seen.pop(sheet.path)
    sizes = {path: picture.size for path, picture in seen.items() if picture.size is not None}
    findings += wrong_sizes(sizes, contest.size)
    findings += equal_pixels({path: picture.pixels for path, picture in seen.items() if picture.pixels is not None})
    findings += post_processed(seen)
    return findings + list(_check_sheet(None if sheet is None else sheet.path, shown, sizes, story))


def check_gate(report: Path | None, story: Story, items: Iterable[Item]) -> Iterator[Finding]:
    """Findings about a story's mean aesthetic score; none where it was not measured, or the contest asks for none.

    `report` is the entry's report.json, beside which the scores of a story lie; `items` are the entry's files.
    """
    if report is None or story.aesthetic is None:
        return
    try:
        scores = read_gate(report.parent)
    except (UserError, ValueError):
        yield finding("S511", GATE_FILE, "is not a report of jdart-eval")
        return
    if scores is None:
        yield from _check_extra(report, story.aesthetic)
        return
    files = [item for item in items if item.kind == "file" and item.path.lower().endswith(PICTURE_ENDINGS)]
    pictures = [item for item in files if item.path != story.sheet and not is_system(item.path)]
    if not scores.is_of({item.path: hashlib.sha256(_bytes_of(item)).hexdigest() for item in pictures}):
        yield finding("S511", GATE_FILE, "has the scores of other pictures")
    elif scores.mean < story.aesthetic:
        yield finding("S510", GATE_FILE, f"says: {replace(scores, gate=story.aesthetic).line()}")


def _check_extra(report: Path, gate: float) -> Iterator[Finding]:
    """The gate by a report of all metrics, which has the score as an extra."""
    if not report.is_file():
        return
    try:
        extras = read_json(report).get("extras", {})
        mean = extras["aesthetic"]["total"] if "aesthetic" in extras else None
    except (UserError, AttributeError, KeyError, TypeError):
        yield finding("S511", report.name, "is not a report of jdart-eval")
        return
    if isinstance(mean, (int, float)) and mean < gate:
        yield finding("S510", report.name, f"gives a mean of {mean:.2f}; pictures count from {gate:g} up")


def _bytes_of(item: Item) -> bytes:
    """What is in a file; nothing where it cannot be read, which is a finding already."""
    try:
        return item.read()
    except BadItem:
        return b""


def _check_prompts(item: Item | None, pictures: Mapping[str, Item], story: Story) -> Iterator[Finding]:
    if item is None:
        yield finding("S502", story.prompts, "is not there")
        return
    try:
        rows = read_prompts(item)
    except BadItem as error:
        yield finding(error.code, item.path, str(error))
        return
    except ValueError as error:
        yield finding("S503", item.path, str(error))
        return
    for (name, prompt), count in Counter(rows).items():
        if count > 1:
            yield finding("S506", item.path, f"has the row of {name} {count} times")
        if not name:
            yield finding("S505", item.path, f"has a row without a file, of the prompt {printable(prompt[:60])}")
            continue
        if not prompt:
            yield finding("S507", item.path, f"has no prompt for {name}")
        if name not in pictures:
            yield finding("S505", item.path, f"has a row for {name}, which is not there")
    prompts = Counter(name for name, _ in set(rows) if name)
    for name, count in prompts.items():
        if count > 1:
            yield finding("S506", item.path, f"has {count} prompts for {name}")
    for name in pictures:
        if name not in prompts:
            yield finding("S504", name, f"has no row in {item.path}")


def _check_sheet(
    path: str | None, sheet: Picture | None, sizes: Mapping[str, tuple[int, int]], story: Story
) -> Iterator[Finding]:
    if path is None or sheet is None:
        yield finding("S508", story.sheet, "is not there")
        return
    if sheet.size is None:
        return  # a finding already
    width, height = sheet.size
    more = story.grid(len(sizes))  # rows for all pictures, where there are more than the contest asks for
    grids = [(story.columns, story.rows), (story.rows, story.columns), (more[1], more[0]), more]  # upright or lying
    even = [(columns, rows) for columns, rows in grids if width % columns == 0 and height % rows == 0]
    if not even:
        cells = f"{story.columns} columns and {story.rows} rows of one size"
        yield finding("S509", path, f"is {width}x{height}, which does not hold {cells}")
    elif sizes:
        (usual, _), *_ = Counter(sizes.values()).most_common(1)
        cells_of = [(width // c, height // r) for c, r in even]
        if all(abs(w * usual[1] / (h * usual[0]) - 1) > _ASPECT for w, h in cells_of):
            w, h = cells_of[0]
            yield finding("S509", path, f"has cells of {w}x{h}, not the shape of pictures of {usual[0]}x{usual[1]}")
