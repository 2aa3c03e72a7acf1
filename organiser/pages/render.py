"""Templates into pages; whatever strangers wrote is shown as text."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

_TEMPLATES = Path(__file__).parents[1] / "templates"
_MINUTES, _SECONDS = len("2026-08-10 18:00"), len("2026-08-10 18:00:00")


def render(template: str, **values: Any) -> str:
    """A page, which finds the board's style sheet beside it."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from leaderboard.pages.scripts import static_place

    loader = FileSystemLoader(_TEMPLATES)
    pages = Environment(autoescape=True, loader=loader, undefined=StrictUndefined, trim_blocks=True)
    return pages.get_template(template).render(static_place=static_place, here=template, **values)


def short_time(moment: datetime, zone: timezone, seconds: bool = False) -> str:
    """A time in a column whose head names the zone."""
    return moment.astimezone(zone).isoformat(" ")[: _SECONDS if seconds else _MINUTES]
