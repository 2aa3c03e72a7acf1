"""What an edition asks of the archive with a team's code: the section `package` of a contest's file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from types import MappingProxyType
from typing import Any, Optional

from contest.definition import Limits
from contest.disk.yaml_file import read_yaml
from contest.errors import UserError
from contest.reading import contest_file, part_problems
from submission.package.environment import plain_name

_FIELDS = ("track", "team", "rank")
_FIELD = re.compile(r"\{(track|team|rank)\}")
_FORBIDDEN = frozenset('/\\:*?"<>|')
_VERSION = re.compile(r"\d+(?:\.\d+)*")


@dataclass(frozen=True)
class Package:
    """The rules of one edition.

    `archive` is its name, from {track}, {team} and {rank}, which has `rank_digits` digits. At its top lie the folder
    `code`, at least one of the files `environment`, and the PDF `description`. Code must import `framework`. Whatever
    an environment file names must have one version; `pinned` says which libraries must be named, from which version
    up, and `python` which Python, where one is named. `notes` are what only a person can see to.
    """

    name: str
    version: str
    archive: str
    tracks: tuple[str, ...]
    code: str
    environment: tuple[str, ...]
    description: str
    rank_digits: int = 3
    framework: Optional[str] = None
    python: Optional[str] = None
    pinned: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    notes: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)

    def archive_name(self, track: str, team: str, rank: int) -> str:
        """The name of a team's archive. UserError: a track that there is not, or what no file can be called."""
        if track not in self.tracks:
            raise UserError(f"{self.name} has no track {track}; it has {', '.join(self.tracks)}")
        if team != team.strip() or not team or not team.isprintable() or not _FORBIDDEN.isdisjoint(team):
            raise UserError(
                f"team {team!r}: cannot be part of a file's name; give the registered name without /\\:*?\"<>|"
            )
        if not 0 < rank < 10**self.rank_digits:
            raise UserError(f"rank {rank}: must have at most {self.rank_digits} digits and be above 0")
        parts = {"track": track, "team": team, "rank": f"{rank:0{self.rank_digits}d}"}
        return _FIELD.sub(lambda found: parts[found[1]], self.archive)

    def is_archive_name(self, name: str) -> bool:
        """Whether an archive of any team may be called so."""
        parts = {
            "track": "|".join(map(re.escape, self.tracks)),
            "team": r"[^/\\:*?\"<>|]+",
            "rank": rf"(?!0+\b)\d{{{self.rank_digits}}}",
        }
        pieces = _FIELD.split(self.archive)
        pattern = "".join(f"(?:{parts[one]})" if place % 2 else re.escape(one) for place, one in enumerate(pieces))
        return re.fullmatch(pattern, name) is not None


_TEXTS = ("archive", "code", "description", "framework", "python")
_LISTS = ("tracks", "environment", "notes")
_KEYS = tuple(item.name for item in fields(Package) if item.name not in ("name", "version", "limits"))


def load_package(name_or_path: str) -> Package:
    """The section `package` of a shipped contest or of a contest's file. UserError lists every problem of it."""
    path = contest_file(name_or_path)
    data = read_yaml(path)
    value = data.get("package") if isinstance(data, dict) else None
    if value is None:
        raise UserError(f"{path}: asks for no archive of code; jittor-2026 does, or add the section package")
    problems = _problems(value) + part_problems("limits", data.get("limits", {}), Limits)
    if not isinstance(data.get("name"), str):
        problems.append("name must be one line of text")
    if problems:
        raise UserError(f"{path}: " + "; ".join(problems))
    kept: dict[str, Any] = {key: tuple(one) if key in _LISTS else one for key, one in value.items()}
    kept["pinned"] = MappingProxyType({plain_name(key): one for key, one in value.get("pinned", {}).items()})
    return Package(data["name"], str(data.get("version", "1")), limits=Limits(**data.get("limits", {})), **kept)


def _problems(value: Any) -> list[str]:
    if not isinstance(value, dict):
        return [f"package must be a mapping of {', '.join(_KEYS)}"]
    problems = [f"unknown setting package.{key}" for key in value if key not in _KEYS]
    needed = [item.name for item in fields(Package) if item.name in _KEYS and _is_needed(item)]
    problems += [f"package.{key} is missing" for key in needed if key not in value]
    problems += [f"package.{key} must be text in quotes" for key in _TEXTS if key in value and not _is_text(value[key])]
    for key in _LISTS:
        if key in value and not (isinstance(value[key], list) and value[key] and all(map(_is_text, value[key]))):
            problems.append(f"package.{key} must be a list of texts")
    digits, pinned = value.get("rank_digits", 3), value.get("pinned", {})
    if type(digits) is not int or not 0 < digits < 10:
        problems.append("package.rank_digits must be a whole number from 1 to 9")
    if not isinstance(pinned, dict) or not all(
        _is_text(key) and _is_text(one) and _VERSION.fullmatch(one) for key, one in pinned.items()
    ):
        problems.append('package.pinned must map libraries to versions in quotes, such as jittor: "1.3.10"')
    archive = value.get("archive", "")
    if _is_text(archive) and (sorted(_FIELD.findall(archive)) != sorted(_FIELDS) or not archive.endswith(".zip")):
        problems.append("package.archive must have {track}, {team} and {rank}, each once, and end in .zip")
    tops = [archive, value.get("code"), value.get("description"), *_list(value.get("environment"))]
    if any(_is_text(top) and ("/" in top or top.startswith(".")) for top in tops):
        problems.append("package.archive, code, environment and description must be names without folders")
    return problems


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and value.isprintable()


def _is_needed(item: Field[Any]) -> bool:
    return item.default is MISSING and item.default_factory is MISSING
