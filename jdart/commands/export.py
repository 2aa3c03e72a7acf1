"""`jdart export`: a run for other programs."""

from __future__ import annotations

from pathlib import Path

import click


@click.group("export")
def export_group() -> None:
    """A trained run for other programs."""


@export_group.command("diffusers")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--run", type=click.Path(path_type=Path), metavar="RUN", help="The run folder, where DIR is none.")
@click.option("--copy", is_flag=True, help="Copy the base model instead of linking to it, so that DIR can be moved.")
def export_diffusers_command(folder: Path, run: Path | None, copy: bool) -> None:
    """Write base, LoRAs, settings and draw.py, a script that draws the run's pictures with diffusers on PyTorch.

    DIR is the run folder, and gets a folder diffusers/; with --run DIR is what is written.
    """
    from jdart.runtime import start

    start("cpu")  # for runs that start from average pictures
    from jdart.exporting.diffusers_folder import SCRIPT_NAME, export_diffusers

    out = folder / "diffusers" if run is None else folder
    count = export_diffusers(folder if run is None else run, out, copy)
    click.echo(f"{out}: {count} pictures, drawn by: python {out / SCRIPT_NAME}")
