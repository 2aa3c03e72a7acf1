"""`jdart-organise init`, `receive` and `retry`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from organiser.commands.options import board_line, entry_line, folder_option, set_threads, threads_option

if TYPE_CHECKING:
    from organiser.desk import Desk
    from organiser.intake import Inbox


@click.command("init")
@click.argument("rules", metavar="EVENT.yaml", type=click.Path(path_type=Path))
@folder_option
def init_command(rules: Path, folder: Path) -> None:
    """Make the folder of an event from its rules.

    The rules stay where they are and may be changed; the log notes that they were.
    """
    from organiser.desk import found_desk
    from organiser.rules import in_words

    desk = found_desk(rules, folder)
    click.echo(f"{folder}: ready for contest {desk.contest.name}, {desk.contest.pictures} pictures an entry")
    for line in in_words(desk.event):
        click.echo(f"- {line}")


@click.command("receive")
@click.argument("place", metavar="INBOX|FILE", type=click.Path(path_type=Path))
@click.option("--team", metavar="NAME", help="Whose FILE it is; in a drop folder the folders or the files say it.")
@click.option("--watch", is_flag=True, help="Go on for ever, until Ctrl-C.")
@click.option(
    "--settle",
    type=click.FloatRange(min=0),
    default=2.0,
    show_default=True,
    help="Seconds without growth; an eighth where a whole zip ends.",
)
@folder_option
@threads_option
def receive_command(
    place: Path, team: str | None, watch: bool, settle: float, folder: Path, threads: int | None
) -> None:
    """Take what lies in a drop folder, check it, score it and renew the board.

    INBOX holds a folder a team, or TEAM.zip. A file is taken when it has stopped growing, and stays where it is. The
    team finds receipt and findings in outbox/TEAM. What a killed call left behind is taken up. Exit code 1: something
    could not be taken or scored.
    """
    from contest.errors import UserError
    from organiser.desk import at_work, open_desk
    from organiser.intake import Inbox, take
    from organiser.settings.reading import team_problem

    if (team is None) == place.is_file():
        raise UserError(
            f"{place}: " + ("whose is it? name the team with --team" if team is None else "--team names one FILE")
        )
    if team is not None and (problem := team_problem(team)) is not None:
        raise UserError(f"--team {problem}")
    if team is not None and watch:
        raise UserError("--watch is for a drop folder")
    desk = open_desk(folder)
    if team is not None:
        take(desk, place, team)  # even while another process is at work, which will see to it
    with at_work(desk):
        _work(desk, None if team is not None else Inbox(place, settle), watch, threads)


@click.command("retry")
@click.argument("numbers", metavar="[ENTRY]...", type=int, nargs=-1)
@folder_option
@threads_option
def retry_command(numbers: tuple[int, ...], folder: Path, threads: int | None) -> None:
    """Judge entries anew, and score them; without ENTRY, all that failed by no fault of their team.

    Also for what was refused, late or over the limit after the rules were changed, and to take back a withdrawal.
    """
    from contest.errors import UserError
    from organiser.books.states import FAILED, GRAPH, RECEIVED
    from organiser.desk import at_work, open_desk

    desk = open_desk(folder)
    chosen = [desk.ledger.entry(number) for number in numbers] if numbers else desk.ledger.entries(FAILED)
    wrong = [entry for entry in chosen if RECEIVED not in GRAPH[entry.state].exits]
    if wrong:
        ways = ", ".join(sorted(set(GRAPH[wrong[0].state].exits.values())))
        raise UserError(f"entry {wrong[0].id} is {wrong[0].state}; what leads on from there: {ways}")
    for entry in chosen:
        desk.ledger.move(entry, RECEIVED, "taken up again by the organiser", attempts=0)
    with at_work(desk):
        _work(desk, None, False, threads)


def _work(desk: Desk, inbox: Inbox | None, watch: bool, threads: int | None) -> None:
    from contest.console import FINDINGS
    from organiser.books.states import FAILED
    from organiser.scorer import EventScorer
    from organiser.service import work

    set_threads(threads)
    wrong = False
    for one in work(desk, inbox, EventScorer, watch):
        if one.entry is not None:
            click.echo(entry_line(one.entry))
            wrong = wrong or one.entry.state == FAILED
        elif one.board is not None:
            click.echo(board_line(one.board, desk.site))
        else:
            wrong = True
            click.echo(
                f"{one.said}: still grows; the next receive takes it" if one.what == "growing" else one.said, err=True
            )
    if wrong:
        raise SystemExit(FINDINGS)
