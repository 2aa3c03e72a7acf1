"""What a site notes of itself, so that the next build knows what is ours, what has changed, and from where it came."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from contest.disk.files import parse_json
from contest.errors import UserError

MARKER = ".jdart-board.json"  # lists what we wrote, so that everything else in the folder is known to be another's
_VERSION = 3


@dataclass(frozen=True)
class About:
    """How a site is built: its title and language, and reports or their folders, relative to it where they can be.

    `home` is a page beside the site's own, to which they lead.
    """

    title: str = "Leaderboard"
    language: str = "en"
    sources: tuple[str, ...] = ()
    home: Optional[str] = None


@dataclass(frozen=True)
class Marker:
    """`files` maps each of our files to its key and size, but for thumbnails: those are known by their names."""

    about: About = field(default_factory=About)
    files: Mapping[str, tuple[str, int]] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """The file; the same for an equal site."""
        data = {
            "schema_version": _VERSION,
            "title": self.about.title,
            "language": self.about.language,
            "sources": list(self.about.sources),
            **({} if self.about.home is None else {"home": self.about.home}),
            "files": {path: list(self.files[path]) for path in sorted(self.files)},
        }
        return (json.dumps(data) + "\n").encode()


def read_marker(folder: Path, force: bool = False) -> Marker:
    """The marker of a site; an empty one for a new or empty folder.

    UserError: `folder` holds something that is not a site of ours, and `force` is not set.
    """
    if not folder.exists():
        return Marker()
    if not folder.is_dir():
        raise UserError(f"{folder}: a file; choose a folder for the site")
    try:
        return _parse(parse_json((folder / MARKER).read_text("utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        if force or not any(folder.iterdir()):
            return Marker()
        raise UserError(
            f"{folder}: not empty and not a site of jdart-board; choose another folder, or --force"
        ) from error


def _parse(data: Any) -> Marker:
    files = data["files"]
    if isinstance(files, list):  # as the first version wrote it: names alone
        files = {name: ("", -1) for name in files if not name.startswith("thumbnails/")}
    about = About(
        str(data.get("title", About.title)),
        str(data.get("language", About.language)),
        tuple(str(source) for source in data.get("sources", ())),
        _page(data.get("home")),
    )
    return Marker(about, {str(path): (str(key), int(size)) for path, (key, size) in files.items()})


def _page(name: Any) -> str | None:
    """The name of a page beside the site's own, and of nothing else."""
    return name if isinstance(name, str) and name.endswith(".html") and not {*"/\\:?#"} & {*name} else None
