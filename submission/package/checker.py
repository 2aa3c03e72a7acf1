"""The rules of an archive of code: a listing and an edition's rules in, findings out. No code is run or imported."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from contest.disk.encodings import instead_of_utf8
from contest.entry.listing import BadItem, Item, Listing
from contest.entry.signatures import identify
from contest.findings import Finding, finding
from contest.names import is_system, loose_name, match, misspelling, printable, system_part
from submission.package.environment import Library, at_least, read_conda, read_requirements
from submission.package.rules import Package
from submission.rules.layout import no_file, unwrap

_BYTECODE = "__pycache__"
_PDF = b"%PDF-"
_HEAD = 1024  # bytes, in which a PDF says that it is one
_MOST_TEXT = 1 << 20  # bytes of an environment file
_INSIDE = "S411"  # archives in the archive: data of a program may be one
_PYTHON = "python"


@dataclass(frozen=True)
class Layout:
    """What an archive is made of, path -> item, and what is wrong with the names of the rest."""

    kept: Mapping[str, Item]
    findings: tuple[Finding, ...]


def check_package(listing: Listing, rules: Package, archive: str | None = None) -> list[Finding]:
    """Every finding about a folder, or a zip called `archive`, sorted by path and code."""
    layout = lay_out(listing, rules)
    findings = [one for one in listing.findings if one.code != _INSIDE] + list(layout.findings)
    if archive is not None and not rules.is_archive_name(archive):
        findings.append(
            finding("S601", archive, f"is not called {rules.archive} with a rank of {rules.rank_digits} digits")
        )
    if listing.items or not listing.findings:  # else nothing is known of what is in it
        findings += _check_code(layout.kept, rules)
        findings += _check_environment(layout.kept, rules)
        findings += _check_description(layout.kept, rules)
    return sorted(findings, key=lambda one: (one.path, one.code, one.message))


def lay_out(listing: Listing, rules: Package) -> Layout:
    """Sort out what a package is made of, under the names that are asked; the findings are about names."""
    wanted = (rules.code, *rules.environment, rules.description)
    items, findings = unwrap(listing.items, wanted)
    files = [item for item in items if item.kind == "file"]
    if len(files) > rules.limits.files:
        findings.append(finding("S409", ".", f"has {len(files)} files; the edition takes {rules.limits.files}"))
    meant = match(sorted({item.path.split("/")[0] for item in items}), wanted, loose_name)
    for name, want in meant.items():
        if name != want:
            code, why = misspelling(name, want)
            findings.append(finding(code, name, f"should be {want}{why}", f"rename it to {want}"))
    kept: dict[str, Item] = {}
    beside: set[str] = set()
    for item in items:
        top, _, rest = item.path.partition("/")
        if is_system(item.path) or _BYTECODE in item.path.split("/"):
            beside.add(_up_to(item))
        elif meant.get(top) != rules.code and (top not in meant or rest):
            beside.add(f"{top}/" if rest or item.kind == "folder" else top)
        elif item.kind not in ("file", "folder"):
            findings.append(no_file(item))
        elif item.kind == "file":
            kept[f"{meant[top]}/{rest}" if rest else meant[top]] = item
    findings += [finding("S610", path, "is not part of what is asked") for path in sorted(beside)]
    for path, item in kept.items():
        if item.size > rules.limits.file_bytes:
            findings.append(
                finding("S409", path, f"has {item.size} bytes; the edition takes {rules.limits.file_bytes}")
            )
    total = sum(item.size for item in kept.values())
    if total > rules.limits.total_bytes:
        findings.append(finding("S409", ".", f"has {total} bytes; the edition takes {rules.limits.total_bytes}"))
    return Layout(kept, tuple(findings))


def _up_to(item: Item) -> str:
    """The path up to its first part that does not belong there."""
    if is_system(item.path):
        return system_part(item.path, item.kind == "folder")
    parts = item.path.split("/")
    return "/".join(parts[: parts.index(_BYTECODE) + 1]) + "/"


def _check_code(kept: Mapping[str, Item], rules: Package) -> Iterator[Finding]:
    programs = [item for path, item in kept.items() if path.startswith(f"{rules.code}/") and path.endswith(".py")]
    if not programs:
        yield finding("S602", f"{rules.code}/", "is not there, or has no Python file")
        return
    if rules.framework is None:
        return
    imported = re.compile(rf"^[ \t]*(?:import|from)[ \t]+{re.escape(rules.framework)}\b".encode(), re.MULTILINE)
    seen = False
    for item in programs:
        try:
            seen = seen or imported.search(item.read()) is not None
        except BadItem as bad:
            yield finding(bad.code, item.path, str(bad))
    if not seen:
        yield finding("S609", f"{rules.code}/", f"has no file that imports {rules.framework}")


def _check_environment(kept: Mapping[str, Item], rules: Package) -> Iterator[Finding]:
    there = [name for name in rules.environment if name in kept]
    if not there:
        yield finding(
            "S603", rules.environment[0], f"is not there, and neither is another of {', '.join(rules.environment)}"
        )
        return
    named: list[tuple[str, Library]] = []
    for name in there:
        try:
            libraries = _read(kept[name], name)
        except BadItem as bad:
            yield finding(bad.code, name, str(bad))
            return
        except ValueError as error:
            yield finding("S604", name, printable(str(error)))
            return
        named += [(name, library) for library in libraries]
        for library in libraries:
            if library.version is None:
                yield finding("S605", name, f"does not say which one version of {printable(library.name)}")
    yield from _check_versions(named, rules, there[0])


def _check_versions(named: Sequence[tuple[str, Library]], rules: Package, first: str) -> Iterator[Finding]:
    for wanted, least in rules.pinned.items():
        own = [(name, library.version) for name, library in named if library.name == wanted]
        if not own:
            yield finding("S606", first, f"does not name {wanted}, of which {least} or later is asked")
        for name, version in own:
            if version is not None and not at_least(version, least):
                yield finding("S606", name, f"has {wanted} {printable(version)}; {least} or later is asked")
    for name, library in named:
        if library.name == _PYTHON and not _fits(library.version, rules.python):
            said = printable(str(library.version))
            yield finding("S606", name, f"has Python {said}; {rules.python} is asked")


def _fits(version: str | None, wanted: str | None) -> bool:
    """Whether a version of Python is the one that is wanted; what is not said cannot be wrong."""
    return version is None or wanted is None or version == wanted or version.startswith(f"{wanted}.")


def _read(item: Item, name: str) -> list[Library]:
    if item.size > _MOST_TEXT:
        raise ValueError(f"has {item.size} bytes; a list of libraries has at most {_MOST_TEXT}")
    try:
        text = item.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"is {instead_of_utf8(error)}") from error
    return read_conda(text) if name.endswith((".yaml", ".yml")) else read_requirements(text)


def _check_description(kept: Mapping[str, Item], rules: Package) -> Iterator[Finding]:
    item = kept.get(rules.description)
    if item is None:
        yield finding("S607", rules.description, "is not there")
        return
    try:
        data = item.read()
    except BadItem as bad:
        yield finding(bad.code, rules.description, str(bad))
        return
    if _PDF not in data[:_HEAD]:
        what, _ = identify(data[:_HEAD])
        yield finding("S608", rules.description, f"is {what}" if data else "is empty")
