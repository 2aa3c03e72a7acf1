"""The three things one does with an entry: check it, build its archive, verify an archive."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from submission.archive import pack, same_bytes
from submission.checker import check_items
from submission.checks import Finding, finding
from submission.contents import MANIFEST, Item, open_contents
from submission.contest import Contest
from submission.errors import UserError
from submission.files import atomic_write
from submission.files import sha256 as sha256_of
from submission.manifest import check_manifest, describe, make_manifest
from submission.source import choose_contest, open_source

WRITTEN, UP_TO_DATE, REFUSED = "written", "up to date", "refused"


@dataclass(frozen=True)
class BuildResult:
    """What `build` did. `state` is "written", "up to date", or "refused", which leaves nothing on disk.

    `sha256` and `size` (bytes) are the archive's, empty and 0 when refused; then `findings` says why.
    """

    path: Path
    state: str
    findings: tuple[Finding, ...] = ()
    sha256: str = ""
    size: int = 0


def check(path: str | os.PathLike[str], contest: Contest | None = None) -> list[Finding]:
    """Every finding about a run folder, a folder of style folders or a zip, in one pass; empty when good.

    `contest` may be None when run.json or the manifest names it. UserError: misuse, a broken archive.
    """
    source = open_source(path)
    chosen = choose_contest(source) if contest is None else contest
    with open_contents(source.pictures) as items:
        return check_items(items, chosen)


def build(
    path: str | os.PathLike[str],
    contest: Contest | None,
    out: str | os.PathLike[str],
    force: bool = False,
) -> BuildResult:
    """Write the archive of an entry without findings to `out`, atomically; equal input gives equal bytes.

    UserError: `out` is another archive already and `force` is not set, or lies inside the pictures' folder.
    """
    out = Path(out)
    source = open_source(path)
    chosen = choose_contest(source) if contest is None else contest
    if source.pictures.resolve() in out.resolve().parents:
        raise UserError(f"{out}: lies among the pictures, where it would be a stray file; choose another place")
    with open_contents(source.pictures) as items:
        findings = check_items(items, chosen)
        if findings:
            return BuildResult(out, REFUSED, tuple(findings))
        pictures = {item.path: item for item in items if item.kind == "file" and item.path != MANIFEST}
        described = {name: describe(item.read()) for name, item in pictures.items()}
        manifest = make_manifest(chosen, described, source.run)
        files = {name: _reader(item, described[name]["sha256"]) for name, item in pictures.items()}
        files[MANIFEST] = lambda: manifest
        state = WRITTEN
        if out.exists():
            if same_bytes(out, pack(files)):
                state = UP_TO_DATE
            elif not force:
                raise UserError(f"{out}: is there already and differs; --force replaces it")
        if state == WRITTEN:
            with atomic_write(out) as stream:
                for piece in pack(files):
                    stream.write(piece)
    return BuildResult(out, state, (), sha256_of(out), out.stat().st_size)


def verify(path: str | os.PathLike[str], contest: Contest | None = None) -> list[Finding]:
    """Every finding about an archive: the rules, its manifest, and that `build` writes it to the last byte.

    `contest` may be None when the manifest names a shipped one. UserError: misuse, a broken archive.
    """
    path = require_archive(path)
    chosen = choose_contest(open_source(path)) if contest is None else contest
    with open_contents(path) as items:
        findings = check_items(items, chosen) + list(check_manifest(items, chosen))
        if not findings and not same_bytes(path, pack({item.path: item.read for item in items if item.kind == "file"})):
            findings.append(finding("S307", path.name, "is not the archive that build writes for these files"))
    return findings


def require_archive(path: str | os.PathLike[str]) -> Path:
    """The path, unless it is a folder (UserError)."""
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{path}: a folder; verify takes the archive that build wrote, check takes folders")
    return path


def _reader(item: Item, expected: str) -> Callable[[], bytes]:
    """Read the file again, and make sure that it is still what the manifest says."""

    def read() -> bytes:
        data = item.read()
        if hashlib.sha256(data).hexdigest() != expected:
            raise UserError(f"{item.path}: changed while it was packed; build again when nothing writes to it")
        return data

    return read
