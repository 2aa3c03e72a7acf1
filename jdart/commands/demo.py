"""`jdart demo`: what jdart does, in minutes, with what comes along."""

from __future__ import annotations

from pathlib import Path

import click

from jdart.commands.run import settings_of, settings_options


@click.command("demo")
@settings_options
def demo_command(overrides: tuple[str, ...], styles: str | None, output: str | None, device: str) -> None:
    """Train the toy contest's styles, draw four entries, score them, and set them side by side on a board.

    The entries are the plain base model, a LoRA, the same LoRA started from the average image, and from there the best
    of a few candidates a prompt, with the references' colours. Each is an ordinary run folder. Needs no network; what
    is done is not done again.
    """
    settings = settings_of("demo", overrides, styles, output)
    from jdart.config.honoured import require_own

    require_own(settings, "jdart demo")
    from jdart.running.screen import speak
    from jdart.running.stages import show_stages

    speak()
    from jdart.runtime import start

    used = "cuda" if start(device).flags.use_cuda else "cpu"
    from contest.disk.alone import alone_in
    from jdart.running.demo import build_board, entry_stages, open_entries

    click.get_current_context().with_resource(alone_in(Path(settings.output), "jdart demo"))
    jobs = open_entries(settings)
    for job, stages in entry_stages(jobs, used):
        show_stages(stages, job.folder.root, job.config.name)
    page = build_board(jobs, Path(settings.output))
    click.echo("No board: without score.weights there are no scores" if page is None else f"Open {page}")
