"""The three things one does with an entry: check it, build its archive, verify an archive."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from contest.definition import Contest
from contest.disk.files import sha256 as sha256_of
from contest.disk.shipped import references_folder
from contest.disk.writable import require_file
from contest.entry.contents import MANIFEST, open_contents
from contest.entry.listing import BadItem, Item, Listing
from contest.errors import UserError
from contest.findings import Finding, errors, finding
from contest.references import require_references
from submission.packing.archive import pack, same_bytes, write_archive
from submission.packing.manifest import (
    File,
    Manifest,
    Score,
    check_claims,
    check_manifest,
    describe,
    fingerprint_of,
    make_manifest,
)
from submission.packing.provenance import REPORT, find_commit, find_score
from submission.packing.source import Source, choose_contest, open_source
from submission.packing.weights import find_weights, without_weights
from submission.rules.checker import check_items

WRITTEN, UP_TO_DATE, REFUSED = "written", "up to date", "refused"


@dataclass(frozen=True)
class BuildResult:
    """What `build` did. `state` is "written", "up to date", or "refused", which leaves nothing on disk.

    `findings` says why it was refused; otherwise they are warnings only. `sha256` and `size` (bytes) are the
    archive's, empty and 0 when refused.
    """

    path: Path
    state: str
    findings: tuple[Finding, ...] = ()
    sha256: str = ""
    size: int = 0


def check(
    path: str | os.PathLike[str],
    contest: Contest | None = None,
    references: str | os.PathLike[str] | None = None,
) -> list[Finding]:
    """Every finding about a run folder, a folder of style folders or a zip, in one pass; empty when good.

    `contest` may be None when run.json or the manifest names it. `references` is the folder of the pictures that an
    output must not be a copy of; a run folder brings its own. UserError: misuse, PATH is neither folder nor zip, or
    `references` holds none of the contest's styles.
    """
    source = open_source(path)
    chosen = choose_contest(source) if contest is None else contest
    with open_contents(source.pictures, chosen.limits) as listing:
        return _check_rules(listing, chosen, source, references)


def build(
    path: str | os.PathLike[str],
    contest: Contest | None,
    out: str | os.PathLike[str],
    force: bool = False,
    include_weights: bool = False,
    references: str | os.PathLike[str] | None = None,
) -> BuildResult:
    """Write the archive of an entry without errors to `out`, atomically; equal input gives equal bytes.

    `include_weights` adds each style's LoRA file of a run folder, or of an archive that was built with them, with its
    token and its composition where there are any.
    UserError: `out` is another archive already and `force` is not set, or lies inside the pictures' folder; a style has
    no LoRA file.
    """
    out = Path(out)
    source = open_source(path)
    chosen = choose_contest(source) if contest is None else contest
    if source.pictures.resolve() in out.resolve().parents:
        raise UserError(f"{out}: lies among the pictures, where it would be a stray file; choose another place")
    require_file(out)
    with open_contents(source.pictures, chosen.limits) as listing:
        findings = _check_rules(listing, chosen, source, references)
        if errors(findings):
            return BuildResult(out, REFUSED, tuple(findings))
        pictures = without_weights(listing).items
        items = {item.path: item for item in pictures if item.kind == "file" and item.path != MANIFEST}
        if include_weights:
            items.update(find_weights(source, listing, chosen))
        described = {name: describe(_read(item)) for name, item in items.items()}
        manifest = make_manifest(chosen, described, source.run, *_find_commit_and_score(source, chosen, described))
        claims = list(check_claims(manifest))
        if claims:
            return BuildResult(out, REFUSED, (*findings, *claims))
        files = _readers(items, manifest)
        state = UP_TO_DATE if out.exists() and same_bytes(out, pack(files)) else WRITTEN
        if state == WRITTEN:
            write_archive(out, pack(files), force)
    return BuildResult(out, state, tuple(findings), sha256_of(out), out.stat().st_size)


def verify(
    path: str | os.PathLike[str],
    contest: Contest | None = None,
    references: str | os.PathLike[str] | None = None,
) -> list[Finding]:
    """Every finding about an archive: the rules, its manifest, and that `build` writes it to the last byte.

    `contest` may be None when the manifest names a shipped one. UserError: misuse, or PATH is no zip.
    """
    path = require_archive(path)
    source = open_source(path)
    chosen = choose_contest(source) if contest is None else contest
    with open_contents(path, chosen.limits) as listing:
        findings = _check_rules(listing, chosen, source, references)
        if not listing.findings:
            findings += check_manifest(listing.items, chosen)
        files = {item.path: partial(_read, item) for item in listing.items if item.kind == "file"}
        if not errors(findings) and not same_bytes(path, pack(files)):
            findings.append(finding("S307", path.name, "is not the archive that build writes for these files"))
    return list(dict.fromkeys(findings))  # rules and manifest may find the same file unreadable


def require_archive(path: str | os.PathLike[str]) -> Path:
    """The path, unless it is a folder (UserError)."""
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{path}: a folder; verify takes the archive that build wrote, check takes folders")
    return path


def _check_rules(
    listing: Listing, contest: Contest, source: Source, references: str | os.PathLike[str] | None
) -> list[Finding]:
    folder = source.references if references is None else require_references(references, list(contest.styles))
    if references is None and folder is not None:
        folder = references_folder(folder)  # of a run folder: where it has moved, that is a finding
    report = None if source.folder is None else source.folder / REPORT
    return check_items(without_weights(listing), contest, folder, report)


def _find_commit_and_score(
    source: Source, contest: Contest, files: Mapping[str, File]
) -> tuple[str | None, Score | None]:
    """What the run folder or the earlier manifest knows; a score only where it is one of these very pictures."""
    if source.folder is not None:
        begun = None if source.run is None else source.run.commit
        commit, score = find_commit(source.folder) if begun is None else begun, find_score(source.folder)
    elif source.manifest is not None:
        commit, score = source.manifest.commit, source.manifest.score
    else:
        return None, None
    return commit, score if score is not None and score.pictures == fingerprint_of(files, contest.styles) else None


def _readers(items: Mapping[str, Item], manifest: Manifest) -> dict[str, Callable[[], bytes]]:
    data = manifest.to_bytes()
    readers: dict[str, Callable[[], bytes]] = {
        name: partial(_read_again, item, manifest.files[name].sha256) for name, item in items.items()
    }
    return {**readers, MANIFEST: lambda: data}


def _read(item: Item) -> bytes:
    """The bytes of a file that was read without a finding before."""
    try:
        return item.read()
    except BadItem as error:
        raise UserError(f"{item.path}: {error} now; try again when nothing writes to it") from error


def _read_again(item: Item, expected: str) -> bytes:
    """The bytes, made sure that they are still what the manifest says."""
    data = _read(item)
    if hashlib.sha256(data).hexdigest() != expected:
        raise UserError(f"{item.path}: changed while it was packed; build again when nothing writes to it")
    return data
