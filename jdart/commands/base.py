"""`jdart base`: base models."""

from __future__ import annotations

from pathlib import Path

import click


@click.group("base")
def base_group() -> None:
    """Base models."""


@base_group.command("new")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--preset", default="tiny", show_default=True, help="tiny, small, sd15, sd21 or sd21-base.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
def base_new_command(folder: Path, preset: str, seed: int) -> None:
    """Write a randomly initialised pipeline in diffusers' layout to DIR, with CLIP's real tokenizer."""
    from jdart.runtime import start

    start("cpu")
    from jdart.models.presets import write_base

    write_base(folder, preset, seed)
    click.echo(f"{folder}: a {preset} base with random weights (seed {seed}); it knows no pictures")
