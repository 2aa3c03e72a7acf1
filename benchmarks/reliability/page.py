"""Tables of a documentation page that a measurement writes: what stands below a heading of their own."""

from __future__ import annotations

from pathlib import Path

from contest.disk.files import write_bytes


def put_table(page: Path, heading: str, table: str) -> None:
    """Put `table` below the page's "### heading", in the place of all that stands there until the next heading."""
    before, found, rest = page.read_text("utf-8").partition(f"\n### {heading}\n")
    if not found:
        raise ValueError(f"{page} has no heading {heading}")
    at = rest.find("\n#")
    write_bytes(page, f"{before}{found}{table}\n{rest[at:] if at >= 0 else ''}".encode())
