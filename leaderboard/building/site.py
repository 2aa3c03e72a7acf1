"""Put a site on disk in one move, keep what has not changed, and leave alone what somebody else put there."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from contest.disk.drafts import draft_folder
from contest.errors import UserError
from leaderboard.building.marker import MARKER, About, Marker, read_marker
from leaderboard.building.swap import swap
from leaderboard.building.thumbnails import FOLDER, OURS, make_all

if TYPE_CHECKING:
    from leaderboard.reading.found import Source

__all__ = ["MARKER", "About", "Before", "Changes", "Page", "publish"]

_HOLDS = "holds-files-of-others"  # is beside the old site while that may be the only place of what is not ours


@dataclass(frozen=True)
class Page:
    """A file of the site: where it is, a hash of all that its bytes depend on, and what makes them.

    `make` is not called when the site on disk has the file with that key.
    """

    path: str
    key: str
    make: Callable[[], bytes]


@dataclass(frozen=True)
class Changes:
    """How many files were made, how many were taken from the site as it was, and what the site notes of itself."""

    made: int
    kept: int
    marker: Marker


@dataclass(frozen=True)
class Before:
    """The site in a folder before a build: files of ours that are still as long as we left them."""

    folder: Path
    marker: Marker

    @classmethod
    def of(cls, folder: Path, force: bool = False) -> Before:
        """UserError: `folder` holds something that is not a site of ours, and `force` is not set."""
        return cls(folder.resolve(), read_marker(folder, force))

    def file(self, path: str) -> str | None:
        """Where a file of the site lies; None without one."""
        file, (_, size) = f"{self.folder}/{path}", self.marker.files.get(path, ("", -1))
        try:
            found = os.lstat(file)
        except OSError:
            return None
        return file if stat.S_ISREG(found.st_mode) and found.st_size == size else None

    def read(self, path: str) -> bytes:
        """What a file of the site holds; nothing without one."""
        try:
            return b"" if (file := self.file(path)) is None else Path(file).read_bytes()
        except OSError:
            return b""


def publish(
    before: Before,
    pages: Iterable[Page],
    pictures: Mapping[str, tuple[Source, str]],
    about: About,
    whole: bool = True,
) -> Changes:
    """Replace a site; a reader finds the old one or the new one, whole.

    `pictures` gives the thumbnails by their places, in the folder of that name: all of them, or where `whole` is not
    set those of which some may be lacking. Where all is as it was, nothing is touched; files that an earlier site did
    not write stay where they are, but that ours take the place of those of the same names. UserError: something of
    another is in the way.
    """
    folder, old = before.folder, before.marker
    folder.parent.mkdir(parents=True, exist_ok=True)
    with draft_folder(folder, keep=_HOLDS) as work:  # one that holds files of others is left for their owner
        fresh = work / "new"
        fresh.mkdir()
        files, kept = _write_pages(pages, before, fresh)
        wanted, gone = _differing(folder / FOLDER, pictures, whole)
        marker = Marker(about, files)
        # a link: a build was killed between its two exchanges
        half = (folder / FOLDER).is_symlink()
        if wanted or gone or kept < len(files) or marker != old or half:
            (work / FOLDER).mkdir()
            make_all(wanted, work)
            (fresh / MARKER).write_bytes(marker.to_bytes())
            _put_in_place(folder, work, old, gone)
    return Changes(len(files) - kept + len(wanted), kept + len(pictures) - len(wanted), marker)


def _differing(
    folder: Path, pictures: Mapping[str, tuple[Source, str]], whole: bool
) -> tuple[dict[str, tuple[Source, str]], list[str]]:
    """Thumbnails that are not there, and the names of those that are there and no longer wanted."""
    if folder.is_symlink() or not folder.is_dir():
        return dict(pictures), []
    if not whole:
        site = str(folder.parent)
        return {place: one for place, one in pictures.items() if not os.path.lexists(f"{site}/{place}")}, []
    there = set(os.listdir(folder))
    names = {place[len(FOLDER) + 1 :] for place in pictures}
    wanted = {place: one for place, one in pictures.items() if place[len(FOLDER) + 1 :] not in there}
    return wanted, [name for name in there - names if OURS.fullmatch(name)]


def _write_pages(pages: Iterable[Page], before: Before, fresh: Path) -> tuple[dict[str, tuple[str, int]], int]:
    """Fill `fresh` with every page, those that have not changed taken from the site before."""
    files: dict[str, tuple[str, int]] = {}
    kept, made = 0, {str(fresh)}
    for page in pages:
        if page.path in files or page.path.startswith("/") or ".." in page.path.split("/"):
            raise ValueError(f"{page.path}: twice in the site, or outside of it")
        target = f"{fresh}/{page.path}"
        home = os.path.dirname(target)
        if home not in made:
            os.makedirs(home, exist_ok=True)
            made.add(home)
        key, size = before.marker.files.get(page.path, ("", -1))
        if key == page.key and _link(before.file(page.path), target):
            kept += 1
        else:
            data = page.make()
            Path(target).write_bytes(data)
            size = len(data)
        files[page.path] = (page.key, size)
    return files, kept


def _link(source: str | None, target: str) -> bool:
    """Give a file a second name, or copy it where the disk knows no such thing; False where there is none."""
    if source is None:
        return False
    try:
        try:
            os.link(source, target)
        except OSError:
            shutil.copy2(source, target)
    except OSError:
        return False
    return True


def _put_in_place(folder: Path, work: Path, old: Marker, gone: Iterable[str]) -> None:
    """Move `work/new` to `folder`, with the thumbnails of before but those `gone`, and those made in `work`.

    Thumbnails are named after what they hold, and many. So those of the site stay in their folder, which goes from the
    old site to the new one: new ones are put in before, when no page shows them, and old ones taken out after.
    """
    fresh, live, made = work / "new", folder / FOLDER, work / FOLDER
    if not folder.exists():
        os.rename(made, fresh / FOLDER)
        os.rename(fresh, folder)
        return
    theirs = list(_theirs(folder, {*old.files, MARKER}, fresh, ""))
    stays = live.is_dir() and not live.is_symlink()
    added = [name for name in sorted(os.listdir(made)) if not (live / name).exists()] if stays else []
    try:
        if stays:
            for name in os.listdir(made):
                os.rename(made / name, live / name)
            # after the first exchange this leads the readers of the new site to the thumbnails, until the second
            os.symlink(fresh / FOLDER, fresh / FOLDER)
        else:
            os.rename(made, fresh / FOLDER)
        if theirs:
            (work / _HOLDS).touch()
        swap(folder, fresh)
    except OSError:
        (work / _HOLDS).unlink(missing_ok=True)
        for name in added:
            (live / name).unlink(missing_ok=True)
        raise
    if stays:
        swap(folder / FOLDER, fresh / FOLDER)
        for name in gone:
            (live / name).unlink(missing_ok=True)
    for name in theirs:
        os.rename(fresh / name, folder / name)
    (work / _HOLDS).unlink(missing_ok=True)


def _theirs(folder: Path, ours: set[str], fresh: Path, below: str) -> Iterator[str]:
    """What others have in `folder`, as the topmost files, links and folders with nothing of ours in them."""
    homes = {name.rpartition("/")[0] for name in ours}
    homes |= {home[:i] for home in homes for i, letter in enumerate(home) if letter == "/"}
    with os.scandir(folder / below if below else folder) as entries:
        listed = sorted(entries, key=lambda entry: entry.name)
    for entry in listed:
        name = f"{below}/{entry.name}" if below else entry.name
        is_folder = entry.is_dir(follow_symlinks=False)
        if name == FOLDER and (is_folder or entry.is_symlink()):
            continue  # it stays where it is, or is a link of ours or another's that a folder replaces
        if name in ours and not is_folder:
            continue
        new = fresh / name
        if is_folder and (name in homes or new.is_dir()):
            yield from _theirs(folder, ours, fresh, name)
        elif not is_folder and new.is_file():
            continue  # --force: replaced by ours of the same name
        elif new.exists():
            raise UserError(f"{folder / name}: is in the way of the site; move it, or choose another folder")
        else:
            yield name
