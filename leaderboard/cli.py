"""jdart-board: arguments in, exit code out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from contest.console import Group, version_option

if TYPE_CHECKING:
    from leaderboard.entries import Section

_LANGUAGES = click.Choice(["en", "zh"])


def _look_options(command: Callable[..., Any]) -> Callable[..., Any]:
    title = click.option("--title", default="Leaderboard", show_default=True, help="The heading of the site.")
    language = click.option(
        "--lang", "language", type=_LANGUAGES, default="en", show_default=True, help="What the pages are written in."
    )
    return title(language(command))


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@version_option("jdart-board")
def main() -> None:
    """Publish scored entries as a static site."""


@main.command("build")
@click.argument("reports", metavar="DIR|REPORT...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="The folder of the site.")
@_look_options
@click.option("--force", is_flag=True, help="Write into a folder that holds other files; they are kept.")
def build_command(reports: tuple[Path, ...], out: Path, title: str, language: str, force: bool) -> None:
    """Rank reports and write the site.

    REPORT is a report.json, a report folder, or a run folder with report/ in it; DIR holds many of them. What has not
    changed since the last time is not made again.
    """
    from leaderboard import build_site

    click.echo(_said(out, build_site(reports, out, title, force, language)))


@main.command("add")
@click.argument("site", type=click.Path(path_type=Path))
@click.argument("reports", metavar="[DIR|REPORT]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--forget", is_flag=True, help="Leave out sources of the site that are gone.")
def add_command(site: Path, reports: tuple[Path, ...], forget: bool) -> None:
    """Add entries to a site, or with no REPORT look again at what it was built from.

    With REPORT, entries that are there are not read again while their documents and the folders of their pictures are
    as they were; without, every file is looked at.
    """
    from leaderboard import add_to_site

    click.echo(_said(site, add_to_site(site, reports, forget)))


@main.command("serve")
@click.argument("sources", metavar="SITE|DIR...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="The port; any that is free where it is not set."
)
@_look_options
def serve_command(sources: tuple[Path, ...], port: int, title: str, language: str) -> None:
    """Show a site on this machine, and build it again whenever a report changes.

    SITE is what `build` wrote; DIR holds reports, and its site is gone when this command ends.
    """
    from leaderboard.building.build import serve_reports, serve_site
    from leaderboard.building.marker import MARKER

    if len(sources) == 1 and (sources[0] / MARKER).is_file():
        serve_site(sources[0], click.echo, port)
    else:
        serve_reports(sources, click.echo, port, title, language)


def _said(site: Path, sections: list[Section]) -> str:
    ranked = sum(len(section.rows) for section in sections if section.status == "ranked")
    apart = sum(len(section.rows) for section in sections) - ranked
    return f"{site / 'index.html'}: {ranked} ranked, {apart} listed apart"
