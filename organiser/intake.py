"""From the drop folder to the ledger: taken when it has stopped growing, copied, checked, and answered."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from contest.disk.drafts import draft_folder
from contest.disk.files import atomic_write
from contest.entry.zip_records import BrokenZip, read_end
from contest.errors import UserError, first_line
from contest.findings import Finding, errors, finding
from contest.names import is_system, printable
from organiser import rules
from organiser.books.ledger import Entry
from organiser.books.states import DUPLICATE, FAILED, LATE, LIVE, OVER_LIMIT, QUEUED, REFUSED
from organiser.clock import to_text
from organiser.desk import ARCHIVE, Desk
from organiser.letters import write_findings, write_receipt, write_state
from organiser.settings.reading import team_problem

SETTLE = 2.0  # seconds that a file must not have changed
_QUICK = 1 / 8  # of them for a file that ends as a whole zip does
_UNFINISHED = (".part", ".partial", ".filepart", ".crdownload", ".tmp", ".download")  # of programs that still write
_BLOCK = 1 << 20


@dataclass
class Inbox:
    """A drop folder: `<team>/<any name>`, or `<team>.zip` in the folder itself. Links are not followed.

    It remembers how large files were at the last look, and which were taken before.
    """

    folder: Path
    settle: float = SETTLE
    _seen: dict[Path, tuple[int, int, float]] = field(default_factory=dict)
    _known: set[tuple[Path, int, int]] = field(default_factory=set)

    def look(self, desk: Desk) -> tuple[list[Path], list[Path]]:
        """(files that have stopped growing, those that may still grow), of those that were not taken before.

        UserError: there is no such folder.
        """
        if not self.folder.is_dir():
            raise UserError(f"{self.folder}: no such folder; make the drop folder, or name a file with --team")
        now = desk.clock.now().timestamp()
        settled: list[Path] = []
        growing: list[Path] = []
        there = sorted(self._files())
        for path, found in there:
            if self._was_taken(desk, path, found):
                continue
            size, changed, since = self._seen.get(path, (-1, -1, now))
            if (size, changed) != (found.st_size, found.st_mtime_ns) or since > now:  # the clock was set back
                size, changed, since = found.st_size, found.st_mtime_ns, now
            self._seen[path] = (size, changed, since)
            calm = now - since
            quick = calm >= self.settle * _QUICK and ends_whole(path, size)
            (settled if calm >= self.settle or quick else growing).append(path)
        self._seen = {path: self._seen[path] for path, _ in there if path in self._seen}
        return settled, growing

    def _was_taken(self, desk: Desk, path: Path, found: os.stat_result) -> bool:
        key = (path, found.st_size, found.st_mtime_ns)
        if key not in self._known and desk.ledger.is_taken(str(path.resolve()), *key[1:]):
            self._known.add(key)
        return key in self._known

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        for path in _listed(self.folder):
            with suppress(FileNotFoundError):  # renamed or removed just now, as programs do when they have sent it
                inside = _listed(path) if path.is_dir() and not path.is_symlink() else [path]
                found = [(one, one.lstat()) for one in inside]
                yield from (each for each in found if stat.S_ISREG(each[1].st_mode))

    def team_of(self, path: Path) -> str:
        """The folder's name, or the file's without its ending."""
        return path.stem if path.parent == self.folder else path.parent.name


def ends_whole(path: Path, size: int) -> bool:
    """Whether a file, of `size` bytes, ends with a zip's end record that has as many bytes before it as it says."""

    def read_at(place: int, count: int) -> bytes:
        return os.pread(handle, count, place)

    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return False
    try:
        end = read_end(read_at, size)
    except (OSError, BrokenZip):
        return False
    finally:
        os.close(handle)
    return end.stop == size and end.offset + end.size == end.start


def _listed(folder: Path) -> list[Path]:
    return [
        path
        for path in sorted(folder.iterdir())
        if not is_system(path.name) and not path.name.lower().endswith(_UNFINISHED)
    ]


def take(desk: Desk, path: Path, team: str) -> Entry:
    """Copy a file into a folder of its own, enter it into the ledger, and answer. The file itself stays where it is.

    UserError: no such file. OSError, a full disk perhaps, leaves no entry: the file is taken later.
    """
    name = team if team_problem(team) is None else _safe(team)
    home = desk.folder / "entries"
    home.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); name the archive itself, no link to it") from error
    with os.fdopen(handle, "rb") as source:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise UserError(f"{path}: no file; name the archive")
        keep = found.st_size <= desk.contest.limits.archive_bytes  # else only its hash is taken
        digest = hashlib.sha256()
        with draft_folder(home / "incoming") as work:
            draft = work / ARCHIVE
            with atomic_write(draft) as copy:
                for block in iter(lambda: source.read(_BLOCK), b""):
                    digest.update(block)
                    if keep:
                        copy.write(block)
            arrived = to_text(desk.clock.arrived(found))
            with desk.ledger.transaction():
                folder = _new_folder(home, desk.ledger.next_id(), digest.hexdigest())
                if keep:
                    os.rename(draft, home / folder / ARCHIVE)
                shown = printable(os.fsencode(path.name).decode("utf-8", "backslashreplace"))
                entry = desk.ledger.add(name, shown, digest.hexdigest(), found.st_size, folder, arrived)
                desk.ledger.take(str(path.resolve()), found.st_size, found.st_mtime_ns)
    with suppress(OSError):  # the check, which comes next, writes what is missing
        write_receipt(desk, entry)
    return entry


def check(desk: Desk, entry: Entry) -> Entry:
    """Judge one entry by the rules: its state afterwards is queued, or says why not. Its team gets its letters."""
    try:
        state, reason, findings = _judge(desk, entry)
        if findings is not None:
            write_findings(desk, entry, findings)
    except (OSError, MemoryError) as error:  # ours; the next receive takes it up
        state, reason = FAILED, f"could not be checked: {first_line(error)}"
    public = "by no fault of the team" if state == FAILED else None
    desk.ledger.move(entry, state, reason, public)
    entry = desk.ledger.entry(entry.id)
    write_receipt(desk, entry)
    write_state(desk, entry)
    return entry


def _judge(desk: Desk, entry: Entry) -> tuple[str, str, list[Finding] | None]:
    """(state, reason, findings where it was looked at)."""
    event, others = desk.event, desk.ledger.entries()
    if event.teams is not None and entry.team not in (*event.teams, *event.baselines):
        return REFUSED, f"{entry.team} is not among the teams", None
    if (late := rules.lateness(event, entry)) is not None:
        return LATE, late, None
    same = [one for one in others if (one.team, one.sha256) == (entry.team, entry.sha256) and one.id < entry.id]
    earlier = next((one for one in same if one.state in LIVE), None)
    if earlier is not None:
        return DUPLICATE, f"the same archive as entry {earlier.id}", None
    findings = find(desk, entry)
    wrong = errors(findings)
    if wrong:
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        return REFUSED, f"{wrong[0]}{more}", findings
    if (over := rules.excess(event, entry, others)) is not None:
        return OVER_LIMIT, over, findings
    return QUEUED, "", findings


def find(desk: Desk, entry: Entry) -> list[Finding]:
    """Every finding about an entry's archive."""
    from submission import check as check_entry

    limit = desk.contest.limits.archive_bytes
    if not desk.archive(entry).is_file():
        if entry.bytes > limit:
            return [
                finding("S409", entry.file, f"has {entry.bytes} bytes; the contest takes {limit}, so it was not kept")
            ]
        raise OSError(None, "is gone; bring it back from a copy", str(desk.archive(entry)))
    try:
        found = check_entry(desk.archive(entry), desk.contest, desk.pictures)
        return [replace(one, path=entry.file) if one.path == ARCHIVE else one for one in found]  # as the team knows it
    except UserError as error:  # no zip at all
        said = str(error).replace(str(desk.archive(entry)), "").lstrip(": ")
        return [finding("S401", entry.file, said)]


def _new_folder(home: Path, number: int, digest: str) -> str:
    """A folder that was never there: one that a killed process left is passed over."""
    name, turn = f"{number:04d}-{digest[:8]}", 1
    while True:
        try:
            (home / name).mkdir()
            return name
        except FileExistsError:
            turn += 1
            name = f"{number:04d}-{digest[:8]}-{turn}"


def _safe(name: str) -> str:
    """A name for a team whose own cannot be used: what can be seen of it, and a hash."""
    plain = "".join(c for c in name if c.isalnum() or c in " _-")[:40].strip()
    return f"{plain}-{hashlib.sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"
