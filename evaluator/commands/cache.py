"""`jdart-eval cache`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from contest.console import FINDINGS
from contest.screen import screen
from evaluator.commands.options import cache_option

if TYPE_CHECKING:
    from evaluator.scoring.cache import Cache


@click.group("cache")
def command() -> None:
    """What the networks noted of pictures, so that they need not look again."""


@command.command("info")
@cache_option
def info(cache: Path | None) -> None:
    """Say where the cache is, and what is in it."""
    from rich.table import Table

    here = _cache(cache)
    if here is None:
        return
    kinds = here.kinds()
    table = Table(title=str(here.path))
    for title, justify in (("kind", "left"), ("entries", "right"), ("MB", "right")):
        table.add_column(title, justify=justify)  # type: ignore[arg-type]
    for kind in kinds:
        table.add_row(kind.name, str(kind.entries), f"{kind.size / 1e6:.1f}")
    table.add_section()
    table.add_row("all", str(sum(k.entries for k in kinds)), f"{sum(k.size for k in kinds) / 1e6:.1f}", style="bold")
    screen().print(table)


@command.command("clear")
@cache_option
@click.option("--older-than", type=click.FloatRange(min=0), default=0.0, metavar="DAYS", help="Only what is older.")
def clear(cache: Path | None, older_than: float) -> None:
    """Forget entries; they are made again when they are needed."""
    here = _cache(cache)
    if here is not None:
        click.echo(f"{here.path}: {here.clear(older_than * 86_400)} entries forgotten")


@command.command("verify")
@cache_option
def verify(cache: Path | None) -> None:
    """Read every entry; damaged ones are forgotten. Exit code 1 where there were any."""
    here = _cache(cache)
    if here is not None:
        count, damaged = here.verify()
        click.echo(f"{here.path}: {count} entries, {damaged} damaged and forgotten")
        if damaged:
            raise SystemExit(FINDINGS)


def _cache(folder: Path | None) -> Cache | None:
    from contest.disk.places import NO_CACHE, user_cache
    from contest.errors import UserError
    from evaluator.scoring.cache import FILE, Cache

    place = user_cache() if folder is None else folder
    if place is None:
        raise UserError(f"nothing is cached: {NO_CACHE}")
    if (place / FILE).exists():
        return Cache(place)
    click.echo(f"{place / FILE}: nothing is cached yet")
    return None
