"""Which file of an entry is which picture: findings about names, and what each file was meant to be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from submission.checks import Finding, finding
from submission.contents import MANIFEST
from submission.contest import Contest
from submission.listing import Item
from submission.names import (
    PICTURE_ENDINGS,
    is_system,
    loose_picture,
    loose_style,
    match,
    misspelling,
    system_part,
)


@dataclass(frozen=True)
class Claim:
    """A picture's file, its style, and the prompt that it stands for; None when it stands for none."""

    item: Item
    style: str
    prompt: str | None


def unwrap(items: Sequence[Item], known: Iterable[str]) -> tuple[Sequence[Item], list[Finding]]:
    """See through folders around all of an entry, the commonest slip when zipping, and go on.

    `known` are the names of which at least one lies at the top of an entry.
    """
    known = set(known)
    prefix = ""
    inside: Sequence[Item] = items
    while True:
        below = [item.path[len(prefix) :] for item in inside if not is_system(item.path)]
        tops = {path.split("/")[0] for path in below}
        if not tops.isdisjoint(known):
            break
        if len(tops) != 1 or all("/" not in path for path in below):
            return items, []  # not wrapped, only wrong
        prefix += f"{tops.pop()}/"
        inside = [item for item in inside if item.path.startswith(prefix)]
    if not prefix:
        return items, []
    kept = [replace(item, path=item.path[len(prefix) :]) for item in inside]
    return kept, [finding("S110", prefix, f"holds {', '.join(sorted(tops & known)[:3])}, which must be at the top")]


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
        elif item.path != MANIFEST:
            findings.append(finding("S107", item.path, "lies outside the style folders"))
    claims: list[Claim] = []
    meant = match(folders, contest.styles, loose_style)
    for folder, inner in folders.items():
        style = meant.get(folder)
        if style is None:
            findings.append(
                second_spelling(f"{folder}/", folder, meant, loose_style)
                if loose_style(folder) in map(loose_style, meant)
                else finding("S106", f"{folder}/", "is no style of this contest")
            )
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


def second_spelling(path: str, name: str, meant: Mapping[str, str], loose: Callable[[str], str]) -> Finding:
    """The finding for a name that stands for what another one of `meant` stands for already."""
    first = next(one for one in meant if loose(one) == loose(name))
    if first.casefold() == name.casefold():
        return finding("S113", path, f"is {first} but for case")
    return finding("S109", path, f"is a second spelling of {first}")


def _check_style(
    folder: str, style: str, items: Iterable[Item], prompts: Sequence[str]
) -> tuple[list[Finding], list[Claim]]:
    findings = []
    files: dict[str, Item] = {}
    for item in items:
        name = item.path[len(folder) + 1 :]
        if item.kind == "folder" and "/" not in name:
            findings.append(finding("S106", f"{item.path}/", "is a folder inside a style folder"))
        elif item.kind == "file" and "/" not in name:
            files[name] = item
        elif item.kind == "other":
            findings.append(finding("S107", item.path, "is neither a file nor a folder"))
    wanted = {f"{prompt}.png": prompt for prompt in prompts}
    meant = match(files, wanted, loose_picture)
    claimed = {loose_picture(name) for name in meant}
    for name, item in files.items():
        if name in meant:
            if name != meant[name]:
                findings.append(finding(*_misspelt(item.path, name, meant[name])))
        elif loose_picture(name) in claimed:
            findings.append(second_spelling(item.path, name, meant, loose_picture))
        elif name.lower().endswith(PICTURE_ENDINGS):
            findings.append(finding("S103", item.path, "is no prompt of this style"))
        else:
            findings.append(finding("S107", item.path, "is not a picture"))
    for name in wanted:
        if name not in meant.values():
            findings.append(finding("S102", f"{folder}/{name}", "is not there"))
    claims = [
        Claim(item, style, wanted[meant[name]] if name in meant else None)
        for name, item in files.items()
        if name.lower().endswith(PICTURE_ENDINGS)
    ]
    return findings, claims


def _misspelt(path: str, name: str, wanted: str, suffix: str = "") -> tuple[str, str, str]:
    code, why = misspelling(name, wanted)
    return code, path, f"should be {wanted}{suffix}{why}"
