"""Tables of a documentation page that a measurement writes: what stands below a heading of their own."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from contest.cores import processor
from contest.disk.files import write_bytes


def put_table(page: Path, heading: str, table: str) -> None:
    """Put `table` below the page's "### heading", in the place of all that stands there until the next heading."""
    before, found, rest = page.read_text("utf-8").partition(f"\n### {heading}\n")
    if not found:
        raise ValueError(f"{page} has no heading {heading}")
    at = rest.find("\n#")
    write_bytes(page, f"{before}{found}{table}\n{rest[at:] if at >= 0 else ''}".encode())


def machine() -> str:
    """What it was measured on, and how busy that was with this and everything else."""
    load = f"load over the last quarter of an hour {os.getloadavg()[2]:.1f}"
    return f"{processor()}, {platform.system()}, Python {platform.python_version()}, {load}"
