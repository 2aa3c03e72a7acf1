"""What a run folder tells of how an entry was made: run.json, the losses of its training, its contact sheets."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contest.errors import UserError
from leaderboard.reading.taker import LINE, NAME, Taker
from leaderboard.text import clean, clean_name

RUN = "run.json"
POINTS = 200  # of a loss curve
_LARGEST = 16 << 20
_STYLES = 200
_DECISIONS = 300
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# Where things lay on the machine of the run, and what the entry's page says elsewhere
_LEFT_OUT = ("name", "output", "references", "contest", "styles", "score.weights", "base.model", "base.vae")


class Losses(Mapping[str, "tuple[tuple[int, float], ...]"]):
    """Style -> (step, loss), at most `POINTS` of them; a file is read when it is asked for."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self.files = files
        self._read: dict[str, tuple[tuple[int, float], ...]] = {}

    def __getitem__(self, style: str) -> tuple[tuple[int, float], ...]:
        if style not in self._read:
            self._read[style] = _thinned(_losses(self.files[style]))
        return self._read[style]

    def __iter__(self) -> Iterator[str]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)


@dataclass(frozen=True)
class Run:
    """How an entry was made. `decisions` are pairs of what was chosen and its value; `sheets` are pictures on disk."""

    commands: tuple[str, ...] = ()
    losses: Mapping[str, tuple[tuple[int, float], ...]] = field(default_factory=dict)
    decisions: tuple[tuple[str, str], ...] = ()
    sheets: tuple[Path, ...] = ()
    commit: str | None = None
    seconds: float | None = None


def load_run(folder: Path) -> Mapping[str, Any] | None:
    """run.json of a folder as it stands; None where there is none. UserError: it is not an object of JSON."""
    path = folder / RUN
    if not path.is_file() or path.is_symlink():
        return None
    if path.stat().st_size > _LARGEST:
        raise UserError(f"{path}: larger than {_LARGEST >> 20} MiB; not a run.json of jdart")
    from contest.disk.files import read_json

    data = read_json(path)
    if not isinstance(data, dict):
        raise UserError(f"{path}: must be an object; not a run.json of jdart")
    return data


def read_run(folder: Path, data: Mapping[str, Any]) -> Run:
    """What is shown of a run. What run.json lacks is left out. UserError: what is there and is of another type."""
    take = Taker()
    commit = data.get("commit")
    run = Run(
        commands=take.lines(data, "commands") if "commands" in data else _commands(data),
        losses=Losses(_loss_files(folder / "lora")),
        decisions=_decisions(data),
        sheets=tuple(_regular(folder / "sheets", (".png", ".webp"))),
        commit=commit if isinstance(commit, str) and _COMMIT.fullmatch(commit) else None,
        seconds=take.number(data, "seconds"),
    )
    take.require_good(folder / RUN)
    return run


def _commands(data: Mapping[str, Any]) -> tuple[str, ...]:
    """What draws the entry again, for a run.json that does not list it itself."""
    commit, config = data.get("commit"), data.get("config")
    if not isinstance(config, dict):
        return ()
    checkout = (f"git checkout {commit}",) if isinstance(commit, str) and _COMMIT.fullmatch(commit) else ()
    settings = (
        """python -c "import json, yaml; print(yaml.safe_dump(json.load(open('run.json'))['config']))" > again.yaml"""
    )
    return (*checkout, settings, "jdart run again.yaml --output again")


def _decisions(data: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """What run.json lists as decided, then the settings that make the entry what it is, by their dotted names."""
    said = data.get("decisions")
    listed = said.items() if isinstance(said, dict) else ()
    config = data.get("config")
    settings = _flat(config) if isinstance(config, dict) else ()
    base = data.get("base")
    revision = [("base.sha256", base.get("sha256"))] if isinstance(base, dict) else []
    pairs = [*listed, *revision, *((key, value) for key, value in settings if key not in _LEFT_OUT)]
    return tuple((clean_name(str(key), NAME), _shown(value)) for key, value in pairs[:_DECISIONS] if value is not None)


def _shown(value: Any) -> str:
    return clean(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), LINE)


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, dict) and value and prefix.count(".") < 8:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _loss_files(root: Path) -> dict[str, Path]:
    """loss.csv of every trained style, links left out."""
    if not root.is_dir() or root.is_symlink():
        return {}
    folders = sorted(place for place in root.iterdir() if place.is_dir() and not place.is_symlink())
    files = {clean_name(folder.name, NAME): folder / "loss.csv" for folder in folders[:_STYLES]}
    return {
        name: path
        for name, path in files.items()
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= _LARGEST
    }


def _regular(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    if not folder.is_dir() or folder.is_symlink():
        return []
    found = (place for place in folder.iterdir() if place.suffix.lower() in suffixes and not place.is_symlink())
    return sorted(place for place in found if place.is_file())[:_STYLES]


def _losses(path: Path) -> list[tuple[int, float]]:
    """(step, loss) of every line that has both; what else a file holds is passed over."""
    found = []
    with open(path, encoding="utf-8-sig", errors="replace", newline="") as stream:
        try:
            for line in csv.DictReader(stream):
                step, loss = line.get("step"), line.get("loss")
                if step is None or loss is None or not step.isascii() or not step.isdigit() or len(step) > 12:
                    continue
                try:
                    value = float(loss)
                except ValueError:
                    continue
                if math.isfinite(value) and abs(value) < 1e12:
                    found.append((int(step), value))
        except csv.Error:
            pass
    return found


def _thinned(points: list[tuple[int, float]]) -> tuple[tuple[int, float], ...]:
    """At most `POINTS` of them, evenly apart, the first and the last among them."""
    if len(points) <= POINTS:
        return tuple(points)
    return tuple(points[round(i * (len(points) - 1) / (POINTS - 1))] for i in range(POINTS))
