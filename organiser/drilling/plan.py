"""Who sends what in a drill, and the rules that it is held by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from itertools import cycle
from pathlib import Path

from contest.definition import Contest, Limits
from contest.disk.files import write_bytes
from contest.disk.shipped import TOY
from contest.reading import load_contest
from organiser.drilling.fakes import COPIED, CROWD, DOUBLE, GREEDY, HONEST, KINDS, LATER, STRANGER, good_files

_LIMITS = Limits(files=CROWD, total_bytes=64 << 20, archive_bytes=64 << 20, file_bytes=8 << 20, side=256)
_AGAIN = (COPIED, DOUBLE)  # kinds that send an earlier honest archive


@dataclass(frozen=True)
class Fake:
    """One archive that is sent: which kind, by whom, the file's name in the team's folder, and where it lies ready."""

    kind: str
    team: str
    name: str
    ready: Path


def plan(entries: int, folder: Path) -> list[Fake]:
    """So many archives to send, in their order: every other one is honest, between them are all other kinds in turn."""
    others = cycle(kind for kind in KINDS if kind != HONEST)
    fakes: list[Fake] = []
    for number in range(entries):
        kind = HONEST if number % 2 == 0 else next(others)  # so what builds on an honest one follows it
        team = fakes[-1].team if kind in (DOUBLE, GREEDY) else f"team-{number:04d}"
        ready = fakes[-1].ready if kind in _AGAIN else folder / f"{number:04d}.zip"
        fakes.append(Fake(kind, team, f"{number:04d}.zip", ready))
    return fakes


def write_archives(fakes: Sequence[Fake], contest: Contest, seed: int) -> None:
    """Make all archives beforehand; the same for the same seed."""
    for number, fake in enumerate(fakes):
        if fake.kind not in _AGAIN:
            files = good_files(contest.styles, seed * 1_000_000 + number)
            write_bytes(fake.ready, KINDS[fake.kind].make(files))


def write_rules(folder: Path, fakes: Sequence[Fake], now: datetime) -> Path:
    """The toy contest with narrow limits, a limit of one entry a day, and a deadline that the late teams have missed.

    In its time zone it is noon, so that no drill meets midnight.
    """
    import yaml

    toy = load_contest(TOY)
    styles = {style: list(prompts) for style, prompts in toy.styles.items()}
    contest = {"name": "drill", "styles": styles, "limits": asdict(_LIMITS)}
    late = {fake.team: {"deadline": (now - timedelta(days=1)).isoformat()} for fake in fakes if fake.kind == LATER}
    rules = {
        "title": "Drill",
        "contest": "contest.yaml",
        "references": TOY,
        "weights": TOY,
        "time_zone": f"{12 - now.astimezone(timezone.utc).hour:+03d}:00",
        "teams": sorted({fake.team for fake in fakes if fake.kind != STRANGER}),
        "per_day": 1,
        "exceptions": late,
    }
    for name, value in (("contest.yaml", contest), ("event.yaml", rules)):
        write_bytes(folder / name, yaml.safe_dump(value, sort_keys=False, allow_unicode=True).encode())
    return folder / "event.yaml"
