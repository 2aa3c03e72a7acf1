"""`jdart warm`: compile ahead."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click


@click.command("warm")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
def warm_command(device: str) -> None:
    """Compile what the recipes need, so that the first run starts at once: for Dockerfiles and CI images.

    Jittor's core, and the kernels that training and drawing use. What is compiled is not compiled again.
    """
    from jdart.running.screen import speak

    speak()
    from jdart.compiling.warm import warm
    from jdart.running.compiling import CompilingLine, compiling_shown
    from jdart.running.stages import compiler_log, kernels_watched
    from jdart.runtime import start

    start(device)
    with (
        tempfile.TemporaryDirectory() as folder,
        compiler_log(Path(folder, "compiler.log")) as terminal,
        compiling_shown(CompilingLine(terminal).show),
        kernels_watched(),
    ):
        for done in warm(device=device):
            click.echo(f"{done.recipe}: {'there already' if done.there else f'{done.made} kernels compiled'}")
