"""An edition's archive of code: check it, or pack a folder into it. The same files give the same bytes."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from contest.disk.files import sha256, write_json
from contest.disk.writable import require_file
from contest.entry.contents import WHOLE, open_contents
from contest.entry.listing import BadItem, Item
from contest.errors import UserError
from contest.findings import Finding, errors
from submission.package.checker import check_package, lay_out
from submission.package.rules import Package
from submission.packing.archive import pack, same_bytes, write_archive
from submission.packing.build import REFUSED, UP_TO_DATE, WRITTEN
from submission.packing.manifest import describe

INVENTORY = ".files.json"  # beside the archive: what is in it


@dataclass(frozen=True)
class Packed:
    """What was done: `state` as of `jdart-submit build`, findings, and the archive's hash, bytes and files."""

    path: Path
    state: str
    findings: tuple[Finding, ...]
    sha256: str = ""
    size: int = 0
    files: int = 0


def check(path: str | os.PathLike[str], rules: Package) -> list[Finding]:
    """Every finding about a folder or an archive. UserError: it is neither."""
    path = Path(path)
    with open_contents(path, rules.limits, WHOLE) as listing:
        return check_package(listing, rules, None if path.is_dir() else path.name)


def build(path: str | os.PathLike[str], rules: Package, out: Path, force: bool = False) -> Packed:
    """Pack what the edition asks for out of a folder without errors; the list of its files lies beside the archive.

    UserError: `out` is another archive already and `force` is not set, or it lies inside of what is packed.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise UserError(
            f"{folder}: no folder; build packs the folder with {rules.code}/, and checks archives without -o"
        )
    if (folder / rules.code).resolve() in out.resolve().parents:
        raise UserError(f"{out}: lies in {rules.code}/, which is packed; choose another place")
    require_file(out)
    with open_contents(folder, rules.limits, WHOLE) as listing:
        findings = check_package(listing, rules)
        if errors(findings):
            return Packed(out, REFUSED, tuple(findings))
        kept = lay_out(listing, rules).kept
        files: dict[str, Callable[[], bytes]] = {name: partial(_read, item) for name, item in kept.items()}
        described = {name: asdict(describe(read())) for name, read in sorted(files.items())}
        state = UP_TO_DATE if out.exists() and same_bytes(out, pack(files)) else WRITTEN
        if state == WRITTEN:
            write_archive(out, pack(files), force)
    digest = sha256(out)
    said = {"schema_version": 1, "archive": out.name, "sha256": digest, "bytes": out.stat().st_size, "files": described}
    write_json(out.with_name(out.name + INVENTORY), said)
    return Packed(out, state, tuple(findings), digest, out.stat().st_size, len(files))


def _read(item: Item) -> bytes:
    try:
        return item.read()
    except BadItem as error:
        raise UserError(f"{item.path}: {error} now; try again when nothing writes to it") from error
