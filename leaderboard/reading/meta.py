"""Who made an entry, and when: `entry.yaml` or `entry.json`, beside report.json or in the run folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contest.disk.files import read_json
from contest.errors import UserError
from leaderboard.reading.taker import LINE, NAME, NOTE, Taker

NAMES = ("entry.yaml", "entry.yml", "entry.json")
_LARGEST = 64 << 10
_TAGS, _TAG = 20, 40


@dataclass(frozen=True)
class Meta:
    """Who and what; None where nobody said. `date` is ISO 8601, a day or a day and time."""

    team: str | None = None
    tags: tuple[str, ...] = ()
    date: str | None = None
    note: str | None = None
    link: str | None = None


def find_meta(folders: tuple[Path, ...]) -> Path | None:
    """The first description in any of the folders."""
    return next(descriptions(folders), None)


def descriptions(folders: tuple[Path, ...], links: bool = False) -> Iterator[Path]:
    """Every description in the folders; or those that are `links`, which may lead to files of others."""
    places = (folder / name for folder in folders for name in NAMES)
    return (place for place in places if place.is_file() and place.is_symlink() is links)


def read_meta(path: Path | None, run: Mapping[str, Any]) -> tuple[Meta, str | None]:
    """What an entry's description says, and the name it gives the entry; the date is that of run.json where it has one.

    UserError: what is not as `docs/leaderboard.md` describes it, all of it.
    """
    data = {} if path is None else _load(path)
    take = Taker(quoted=True)
    unknown = sorted(str(key)[:40] for key in data if key not in ("name", "team", "tags", "date", "note", "link"))
    if unknown:
        take.problems.append(f"unknown: {', '.join(unknown[:8])}; known are name, team, tags, date, note, link")
    said = {key: value for key, value in data.items() if value is not None}
    meta = Meta(
        team=(take.text(said, "team", NAME) or None) if "team" in said else None,
        tags=tuple(dict.fromkeys(filter(None, take.lines(said, "tags", _TAG, _TAGS)))) if "tags" in said else (),
        date=(take.date(said, "date") or None) if "date" in said else _date_of_run(run),
        note=(take.text(said, "note", NOTE) or None) if "note" in said else None,
        link=(take.link(said, "link") or None) if "link" in said else None,
    )
    name = (take.text(said, "name", LINE) or None) if "name" in said else None
    take.require_good(path)
    return meta, name


def _date_of_run(run: Mapping[str, Any]) -> str | None:
    take = Taker()
    date = take.date(run, "date") if "date" in run else ""
    return date or None


def _load(path: Path) -> Mapping[Any, Any]:
    if path.stat().st_size > _LARGEST:
        raise UserError(f"{path}: larger than {_LARGEST >> 10} KiB; shorten it")
    if path.suffix == ".json":
        data = read_json(path, once=True)
    else:
        from contest.disk.yaml_file import read_yaml

        data = read_yaml(path)
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise UserError(f"{path}: must be a mapping such as 'team: ours'; see docs/leaderboard.md")
    return data
