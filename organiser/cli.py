"""`jdart-organise`: one module a group of commands in commands/."""

from __future__ import annotations

import click

from contest.console import Group, version_option
from organiser.commands import board, checking, drilling, entries, receiving, reviewing


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@version_option("jdart-organise")
def main() -> None:
    """Run a contest as one person: receipts, limits, scores, a board.

    Pictures only: no code of a team is run, so it takes one machine, and no container. Every entry has one state, with
    its reason, and a command that leads out of it. Exit codes: 0 good, 1 findings, 2 misuse.
    """


for command in (
    receiving.init_command,
    receiving.receive_command,
    receiving.retry_command,
    entries.status_command,
    entries.withdraw_command,
    entries.choose_command,
    board.publish_command,
    board.freeze_command,
    checking.rescore_command,
    checking.audit_command,
    reviewing.review_command,
    reviewing.reproduce_command,
    drilling.drill_command,
):
    main.add_command(command)
