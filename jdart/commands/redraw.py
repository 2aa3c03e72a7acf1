"""`jdart redraw`: a picture made again from what it says about itself."""

from __future__ import annotations

from pathlib import Path

import click

from contest.console import FINDINGS


@click.command("redraw")
@click.argument("picture", type=click.Path(path_type=Path))
@click.option("--base", metavar="DIR|FILE|HUB-ID", help="The base model, where no run folder says it.")
@click.option("--vae", metavar="DIR|FILE|HUB-ID", help="Its VAE, where that was not its own (base.vae).")
@click.option(
    "--lora", "loras", multiple=True, type=click.Path(path_type=Path), metavar="FILE", help="A LoRA file; repeatable."
)
@click.option(
    "--image",
    "images",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A picture that prompted; repeatable.",
)
@click.option("--image-encoder", type=click.Path(path_type=Path), metavar="DIR", help="What read such pictures.")
@click.option(
    "--references", type=click.Path(path_type=Path), metavar="DIR", help="The folder of the styles' pictures."
)
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Write the picture here.")
@click.option("--engine-python", metavar="PATH", help="The interpreter of the engine, where it was not jdart itself.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
def redraw_command(
    picture: Path,
    base: str | None,
    vae: str | None,
    loras: tuple[Path, ...],
    images: tuple[Path, ...],
    image_encoder: Path | None,
    references: Path | None,
    output: Path | None,
    engine_python: str | None,
    device: str,
) -> None:
    """Draw PICTURE again from the settings in it, and say whether it is the same. Exit code 1 when it is not.

    Base, LoRAs, references and pictures that prompt are those of its run folder, or those named; their hashes must be
    the noted ones.
    """
    from contest.disk.files import write_bytes
    from contest.errors import UserError

    if output is not None and output.exists():
        raise UserError(f"{output} is there already; name another file with --output")
    from jdart.generation.notes import read_notes

    read_notes(picture)  # a file that is none of ours is refused before Jittor starts
    from jdart.running.screen import speak

    speak()
    from jdart.runtime import start

    start(device)
    from jdart.stages.redraw import Sources, redraw

    again = redraw(picture, Sources(base, vae, loras, references, images, image_encoder, engine_python))
    if output is not None:
        write_bytes(output, again.png)
    said = f"{again.differing_pixels} pixels differ" if again.differing_pixels else "the same pixels"
    click.echo(f"{picture}: " + ("drawn again, byte for byte the same" if again.same_bytes else f"drawn again: {said}"))
    if again.differing_pixels:
        raise SystemExit(FINDINGS)
