"""Which file of an entry is which picture: findings about names, and what each file was meant to be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from contest.definition import Contest
from contest.entry.contents import MANIFEST
from contest.entry.listing import Item
from contest.entry.signatures import LINK_CURE, LOST_LINK
from contest.entry.wrapper import wrapper
from contest.findings import Finding, finding
from contest.names import (
    PICTURE_ENDINGS,
    claims_of,
    is_system,
    loose_picture,
    loose_style,
    match,
    misspelling,
    system_part,
)

_KEEP_ONE = "keep one of these folders, and put what is inside it at the top"

_INTO_STYLE = "put it into the folder of its style, and give the folder that holds all style folders"


@dataclass(frozen=True)
class Claim:
    """A picture's file, its style, and the prompt that it stands for; None when it stands for none."""

    item: Item
    style: str
    prompt: str | None


def unwrap(items: Sequence[Item], known: Iterable[str]) -> tuple[Sequence[Item], list[Finding]]:
    """See through folders around all of an entry, the commonest slip when zipping, and go on.

    `known` are the names of which at least one lies at the top of an entry. What lies beside the folder is a finding,
    under its own path; the other paths become those inside the folder.
    """
    known = set(known)
    paths = [item.path for item in items]
    prefix = wrapper(paths, known)
    if prefix is None:
        prefix = wrapper(paths, known, loose_style)
    if not prefix:
        return items, []
    kept, findings, beside = [], [], set()
    for item in items:
        if item.path.startswith(prefix):
            kept.append(replace(item, path=item.path[len(prefix) :]))
        elif is_system(item.path):
            kept.append(item)  # a finding of its own
        elif not prefix.startswith(f"{item.path}/"):
            beside.add(item.path if item.kind != "folder" else f"{item.path}/")
    meant = match({item.path.split("/")[0] for item in kept}, known, loose_style)
    tops = sorted(meant)
    findings.append(finding("S110", prefix, f"holds {', '.join(tops[:3])}, which must be at the top"))
    for path in sorted(beside):
        if not any(path != other and other.endswith("/") and path.startswith(other) for other in beside):
            code, what = ("S106", "no style of this contest") if path.endswith("/") else ("S107", "no part of an entry")
            findings.append(finding(code, path, f"lies beside {prefix} and is {what}"))
    return kept, findings


def check_names(items: Sequence[Item], contest: Contest) -> tuple[list[Finding], list[Claim]]:
    """Findings about names, and the pictures of known styles, whose bytes are to be inspected."""
    items, findings = without_system(items)
    folders: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        top, _, rest = item.path.partition("/")
        if rest:
            folders[top].append(item)
        elif item.kind == "folder":
            folders[top] += []
        elif item.kind != "file":
            findings.append(no_file(item))
        elif item.path != MANIFEST:
            hint = _INTO_STYLE if item.path.lower().endswith(PICTURE_ENDINGS) else None
            findings.append(finding("S107", item.path, "lies outside the style folders", hint))
    claims: list[Claim] = []
    meant = match(folders, contest.styles, loose_style)
    claimed_by = claims_of(meant, loose_style)
    for folder, inner in folders.items():
        style = meant.get(folder)
        if style is None:
            first = claimed_by(folder)
            if first is not None:
                findings.append(second_spelling(f"{folder}/", folder, first))
            elif (inside := sorted(_styles_in(folder, inner, contest))) != []:
                message = f"is no style of this contest, but holds {', '.join(inside[:3])}"
                findings.append(finding("S106", f"{folder}/", message, _KEEP_ONE))
            else:
                findings.append(finding("S106", f"{folder}/", "is no style of this contest"))
            continue
        if folder != style:
            findings.append(finding(*_misspelt(f"{folder}/", folder, style, "/")))
        more, claimed = _check_style(folder, style, inner, contest.styles[style])
        findings += more
        claims += claimed
    for style in contest.styles:
        if style not in meant.values():
            count = len(contest.styles[style])
            findings.append(finding("S101", f"{style}/", f"is not there; {count} pictures are expected in it"))
    return findings, claims


def without_system(items: Sequence[Item]) -> tuple[list[Item], list[Finding]]:
    """What is left without hidden files, system files and names that come twice, and findings about those."""
    findings = []
    system: set[str] = set()
    kept: dict[str, Item] = {}
    for item in items:
        if is_system(item.path):
            system.add(system_part(item.path, item.kind == "folder"))
        elif item.path in kept:
            findings.append(finding("S109", item.path, "is in the archive twice"))
        else:
            kept[item.path] = item
    return list(kept.values()), findings + [finding("S108", path, "is not part of an entry") for path in sorted(system)]


def _styles_in(folder: str, items: Iterable[Item], contest: Contest) -> set[str]:
    return {part for item in items for part in item.path[len(folder) + 1 :].split("/")[:-1] if part in contest.styles}


def no_file(item: Item) -> Finding:
    """The finding for what is neither a file nor a folder."""
    if item.kind == "broken link":
        return finding("S107", item.path, f"is {LOST_LINK}", LINK_CURE)
    return finding("S107", item.path, "is neither a file nor a folder")


def second_spelling(path: str, name: str, first: str) -> Finding:
    """The finding for a name that stands for what the name `first` stands for already."""
    if first.casefold() == name.casefold():
        return finding("S113", path, f"is {first} but for case")
    return finding("S109", path, f"is a second spelling of {first}")


def _check_style(
    folder: str, style: str, items: Iterable[Item], prompts: Sequence[str]
) -> tuple[list[Finding], list[Claim]]:
    findings = []
    files: dict[str, Item] = {}
    unreadable: set[str] = set()
    for item in items:
        name = item.path[len(folder) + 1 :]
        if item.kind == "folder" and "/" not in name:
            findings.append(finding("S106", f"{item.path}/", "is a folder inside a style folder"))
        elif item.kind == "file" and "/" not in name:
            files[name] = item
        elif item.kind not in ("file", "folder"):
            findings.append(no_file(item))
            unreadable.add(name)
    wanted = {f"{prompt}.png": prompt for prompt in prompts}
    meant = match(files, wanted, loose_picture)
    claimed_by = claims_of(meant, loose_picture)
    for name, item in files.items():
        if name in meant:
            if name != meant[name]:
                findings.append(finding(*_misspelt(item.path, name, meant[name])))
        elif not name.lower().endswith(PICTURE_ENDINGS):
            findings.append(finding("S107", item.path, "is not a picture"))
        elif (first := claimed_by(name)) is not None:
            findings.append(second_spelling(item.path, name, first))
        else:
            findings.append(finding("S103", item.path, "is no prompt of this style"))
    for name in wanted:
        if name not in meant.values() and name not in unreadable:
            findings.append(finding("S102", f"{folder}/{name}", "is not there"))
    claims = [
        Claim(item, style, wanted[meant[name]] if name in meant else None)
        for name, item in files.items()
        if name in meant or name.lower().endswith(PICTURE_ENDINGS)
    ]
    return findings, claims


def _misspelt(path: str, name: str, wanted: str, suffix: str = "") -> tuple[str, str, str]:
    code, why = misspelling(name, wanted)
    return code, path, f"should be {wanted}{suffix}{why}"
