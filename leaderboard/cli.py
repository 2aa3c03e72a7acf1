"""jdart-board: arguments in, exit code out."""

from __future__ import annotations

from pathlib import Path

import click

from submission.console import Group, version_option


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@version_option("jdart-board")
def main() -> None:
    """Publish scored entries as a static site."""


@main.command("build")
@click.argument("reports", metavar="REPORT...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="The folder of the site.")
@click.option("--title", default="Leaderboard", show_default=True, help="The heading of the site.")
@click.option("--force", is_flag=True, help="Write into a folder that holds other files; they are kept.")
def build_command(reports: tuple[Path, ...], out: Path, title: str, force: bool) -> None:
    """Rank reports and write the site.

    REPORT is a report.json, a report folder, or a run folder with report/ in it.
    """
    from leaderboard import build_site

    sections = build_site(reports, out, title, force)
    ranked = sum(len(section.rows) for section in sections if section.status == "ranked")
    apart = sum(len(section.rows) for section in sections) - ranked
    click.echo(f"{out / 'index.html'}: {ranked} ranked, {apart} listed apart")
