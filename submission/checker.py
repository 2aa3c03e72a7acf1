"""The rules of an entry: a listing and a contest in, findings out. One pass finds everything."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from submission.checks import Finding, finding
from submission.contents import MANIFEST, MAX_FILE_BYTES, Item
from submission.contest import Contest
from submission.pictures import inspect, one_size, too_large

_SYSTEM = frozenset({"__macosx", "thumbs.db", "desktop.ini"})
_PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")


def check_items(items: Sequence[Item], contest: Contest) -> list[Finding]:
    """Every finding about an entry, sorted by path and code."""
    items, findings = _unwrap(items, contest)
    names, pictures = _check_names(items, contest)
    findings += names
    sizes: dict[str, tuple[int, int]] = {}
    for item in pictures:
        picture = too_large(item.path, item.size) if item.size > MAX_FILE_BYTES else inspect(item.path, item.read())
        findings += picture.findings
        if picture.size is not None:
            sizes[item.path] = picture.size
    findings += one_size(sizes)
    return sorted(findings, key=lambda one: (one.path, one.code))


def _unwrap(items: Sequence[Item], contest: Contest) -> tuple[Sequence[Item], list[Finding]]:
    """See through one folder around all style folders, the commonest slip when zipping, and go on."""
    tops = {item.path.split("/")[0] for item in items if not _is_system(item.path)}
    inside = {item.path.split("/")[1] for item in items if item.path.count("/") > 0}
    if len(tops) != 1 or not tops.isdisjoint(contest.styles) or inside.isdisjoint(contest.styles):
        return items, []
    (top,) = tops
    kept = [replace(item, path=item.path[len(top) + 1 :]) for item in items if item.path.startswith(f"{top}/")]
    return kept, [finding("S110", f"{top}/", "holds the style folders, which must be at the top")]


def _check_names(items: Sequence[Item], contest: Contest) -> tuple[list[Finding], list[Item]]:
    """Findings about names, and the files whose bytes are to be inspected: the pictures of known styles."""
    findings = []
    folders: dict[str, list[Item]] = defaultdict(list)
    system: set[str] = set()
    seen: set[str] = set()
    for item in items:
        top, _, rest = item.path.partition("/")
        if _is_system(item.path):
            system.add(_system_part(item))
        elif item.path in seen:
            findings.append(finding("S109", item.path, "is in the archive twice"))
        elif rest:
            folders[top].append(item)
        elif item.kind == "folder":
            folders[top] += []
        elif item.path != MANIFEST:
            findings.append(finding("S107", item.path, "lies outside the style folders"))
        seen.add(item.path)
    findings += [finding("S108", path, "is not part of an entry") for path in sorted(system)]
    pictures: list[Item] = []
    meant = _match(folders, contest.styles, _loose_style)
    for folder, inner in folders.items():
        style = meant.get(folder)
        if style is None:
            findings.append(finding("S106", f"{folder}/", "is no style of this contest"))
            continue
        if folder != style:
            findings.append(finding("S105", f"{folder}/", f"should be {style}/"))
        more, good = _check_style(folder, inner, contest.styles[style])
        findings += more
        pictures += good
    for style in contest.styles:
        if style not in meant.values():
            count = len(contest.styles[style])
            findings.append(finding("S101", f"{style}/", f"is not there; {count} pictures are expected in it"))
    return findings, pictures


def _check_style(folder: str, items: Iterable[Item], prompts: Sequence[str]) -> tuple[list[Finding], list[Item]]:
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
    wanted = [f"{prompt}.png" for prompt in prompts]
    meant = _match(files, wanted, _loose_picture)
    claimed = {_loose_picture(name) for name in meant}
    for name, item in files.items():
        if name in meant:
            if name != meant[name]:
                code = "S104" if name.casefold() == meant[name].casefold() else "S105"
                findings.append(finding(code, item.path, f"should be {meant[name]}"))
        elif _loose_picture(name) in claimed:
            findings.append(finding("S109", item.path, "is a second spelling of a picture that is there"))
        elif name.lower().endswith(_PICTURE_ENDINGS):
            findings.append(finding("S103", item.path, "is no prompt of this style"))
        else:
            findings.append(finding("S107", item.path, "is not a picture"))
    for name in wanted:
        if name not in meant.values():
            findings.append(finding("S102", f"{folder}/{name}", "is not there"))
    return findings, [item for name, item in files.items() if name.lower().endswith(_PICTURE_ENDINGS)]


def _match(names: Iterable[str], wanted: Iterable[str], loose: Callable[[str], str]) -> dict[str, str]:
    """Which wanted name each name stands for: exact ones first, then at most one near miss for each left."""
    names, wanted = list(names), list(wanted)
    meant = {name: name for name in names if name in set(wanted)}
    left = {loose(want): want for want in wanted if want not in meant}
    for name in names:
        if name not in meant and loose(name) in left:
            meant[name] = left.pop(loose(name))
    return meant


def _loose_style(name: str) -> str:
    name = _loose(name)
    return str(int(name)) if name.isdecimal() else name


def _loose_picture(name: str) -> str:
    stem, _, ending = name.rpartition(".")
    return _loose(stem) if f".{ending}".lower() in _PICTURE_ENDINGS else name


def _loose(name: str) -> str:
    """The name without what people get wrong: case, underscore or hyphen for space, doubled spaces."""
    return " ".join(unicodedata.normalize("NFC", name).casefold().replace("_", " ").replace("-", " ").split())


def _is_system(path: str) -> bool:
    return any(part.startswith(".") or part.casefold() in _SYSTEM for part in path.split("/"))


def _system_part(item: Item) -> str:
    """The path up to its first hidden or system part, so that a hidden folder is one finding."""
    parts = item.path.split("/")
    end = next(i for i, part in enumerate(parts) if _is_system(part)) + 1
    return "/".join(parts[:end]) + ("/" if end < len(parts) or item.kind == "folder" else "")
