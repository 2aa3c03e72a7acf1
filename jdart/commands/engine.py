"""`jdart engine`: other engines than jdart's own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import click

from contest.errors import UserError
from jdart.config.sections.engine import ENGINES


@click.group("engine")
def engine_group() -> None:
    """Other engines than jdart's own: docs/engines.md."""


@engine_group.command("install")
@click.argument("name", type=click.Choice(ENGINES))
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--python", default="python3.9", show_default=True, metavar="PATH", help="The Python that it runs on.")
@click.option("--sources", metavar="URL", help="Where its repositories are, instead of https://github.com/JittorRepos.")
@click.option("--print", "only_print", is_flag=True, help="Print the script that would run, and do nothing.")
def engine_install_command(name: str, folder: Path, python: str, sources: str | None, only_print: bool) -> None:
    """Make an environment for the engine NAME in DIR, of pinned commits and versions, from GitHub and PyPI.

    What is there already is not fetched again: stopped, the same command goes on.
    """
    from jdart.engines.look import installer_of

    script = installer_of(name)
    if only_print:
        click.echo(script.read_text("utf-8"), nl=False)
        return
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file; name a folder")
    own = {} if sources is None else {"SOURCES": sources}
    result = subprocess.run(["sh", str(script), str(folder), python], env={**os.environ, **own}, check=False)
    if result.returncode != 0:
        raise UserError(f"{folder}: not finished, see above; the same command goes on from there")
    interpreter = folder.absolute() / "bin" / "python"
    click.echo(f"Look at it with: jdart doctor --engine-python {interpreter}")
