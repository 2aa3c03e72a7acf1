"""What a story's pictures score on the aesthetic scale, as a file, and whether that passes the contest's gate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Optional

from contest.disk.files import read_json, write_json
from contest.typed import from_json

GATE_FILE = "aesthetic.json"  # in a report folder
SCHEMA_VERSION = 1
_MOST = 12  # pictures that a line names


@dataclass(frozen=True)
class Scored:
    """The score of a picture, and the SHA-256 of its file."""

    score: float
    sha256: str


@dataclass(frozen=True)
class GateReport:
    """Scores by file name. `gate` is the mean from which the entry counts, None where the contest asks for none.

    `reasons` say why the scores do not stand beside others; `weights` are the hashes of the files they come from.
    """

    mean: float
    pictures: dict[str, Scored]
    gate: Optional[float] = None
    reasons: list[str] = field(default_factory=list)
    weights: dict[str, str] = field(default_factory=dict)
    tool: str = ""

    @property
    def passes(self) -> bool:
        """Whether the mean is at the gate or above it."""
        return self.gate is None or self.mean >= self.gate

    def is_of(self, digests: Mapping[str, str]) -> bool:
        """Whether these are the scores of the pictures with these SHA-256 by name."""
        return {name: one.sha256 for name, one in self.pictures.items()} == dict(digests)

    def line(self) -> str:
        """The mean beside the gate; where it is below, which pictures are, and by how much, the worst first."""
        if self.gate is None or self.passes:
            return f"mean {self.mean:.2f}" + ("" if self.gate is None else f", the gate is {self.gate:g}")
        below = sorted((one.score, name) for name, one in self.pictures.items() if one.score < self.gate)
        named = ", ".join(f"{name} {score:.2f} (by {self.gate - score:.2f})" for score, name in below[:_MOST])
        more = "" if len(below) <= _MOST else f" and {len(below) - _MOST} more"
        short = f"mean {self.mean:.2f}, {self.gate - self.mean:.2f} below the gate of {self.gate:g}"
        return f"{short}; below it: {named}{more}"


def write_gate(folder: Path, report: GateReport) -> None:
    """Write `GATE_FILE` in `folder`."""
    write_json(folder / GATE_FILE, {"schema_version": SCHEMA_VERSION, **asdict(report)})


def read_gate(folder: Path) -> GateReport | None:
    """The scores in a report folder; None where there are none. UserError or ValueError for a file that has none."""
    path = folder / GATE_FILE
    if not path.is_file():
        return None
    data = read_json(path)
    if not isinstance(data, dict) or data.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(f"{path}: not of schema_version {SCHEMA_VERSION}")
    return from_json(GateReport, data, GATE_FILE)
