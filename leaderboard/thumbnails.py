"""Small pictures beside a report, found by names that a stranger wrote."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_LARGEST = 1 << 20  # a thumbnail has some KiB; this only keeps nonsense out of the site


@dataclass
class Thumbnails:
    """Collects thumbnails for a site. `files` maps places in the site to bytes; equal ones are kept once."""

    files: dict[str, bytes] = field(default_factory=dict)

    def output(self, report: Path, style: str, picture: str) -> str | None:
        """Place of one output's thumbnail in the site, or None when the report has none."""
        return self._take(report.parent / "thumbnails", Path("outputs", style, f"{Path(picture).stem}.webp"))

    def references(self, report: Path, style: str) -> Mapping[str, str]:
        """Object -> place for each of a style's references, sorted; empty when the report has none."""
        root = report.parent / "thumbnails"
        try:
            paths = sorted((root / "references" / style).glob("*.webp"))
        except OSError:  # a name that no disk takes
            return {}
        found = {}
        for path in paths:
            place = self._take(root, path.relative_to(root))
            if place is not None:
                found[path.stem.replace("_", " ").strip()] = place
        return found

    def _take(self, root: Path, name: Path) -> str | None:
        path = root / name
        try:  # a link or name that leads out of the report's own folder would publish a file of this machine
            inside = root.resolve() in path.resolve().parents and path.is_file()
            if not inside or path.stat().st_size > _LARGEST:
                return None
            data = path.read_bytes()
        except (OSError, ValueError):
            return None
        if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
            return None
        place = f"thumbnails/{hashlib.sha256(data).hexdigest()[:20]}.webp"
        self.files[place] = data
        return place
