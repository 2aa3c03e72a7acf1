"""`jdart-organise publish` and `freeze`."""

from __future__ import annotations

from pathlib import Path

import click

from organiser.commands.options import board_line, folder_option


@click.command("publish")
@click.option("--final", is_flag=True, help="The final standing, with the hidden part of the pictures; from now on.")
@folder_option
def publish_command(final: bool, folder: Path) -> None:
    """Write the board into site/: the leaderboard, standing.html, .json and .csv, and the log.

    receive does it by itself; this is for what changed otherwise.
    """
    from organiser.desk import at_work, open_desk
    from organiser.publish import make_final, publish

    desk = open_desk(folder)
    with at_work(desk):
        if final:
            make_final(desk)
        click.echo(board_line(publish(desk), desk.site))


@click.command("freeze")
@click.option("--lift", is_flag=True, help="Let the board go on.")
@folder_option
def freeze_command(lift: bool, folder: Path) -> None:
    """Let the board and the published log stand still from now on, or from the time in the rules.

    Entries are received and scored as before, and teams learn their own figures.
    """
    from organiser.desk import open_desk
    from organiser.publish import freeze

    since = freeze(open_desk(folder), lift)
    click.echo("the board goes on" if since is None else f"the board stands still since {since}")
