"""`jdart-organise status`, `withdraw` and `choose`."""

from __future__ import annotations

from pathlib import Path

import click

from organiser.commands.options import entry_line, folder_option


@click.command("status")
@click.option("--team", metavar="NAME", help="Only this team's entries.")
@click.option("--all", "everything", is_flag=True, help="Entries that are scored or withdrawn, too.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@folder_option
def status_command(team: str | None, everything: bool, form: str, folder: Path) -> None:
    """Say where every entry stands, why, and what leads on from there."""
    import json
    from collections import Counter
    from dataclasses import asdict

    from organiser.books.states import GRAPH, QUEUED, SCORED, WITHDRAWN
    from organiser.desk import open_desk
    from organiser.letters import place_in_queue

    desk = open_desk(folder)
    entries = desk.ledger.entries(team=team)
    places = {entry.id: place_in_queue(desk, entry) for entry in entries if entry.state == QUEUED}
    if form == "json":
        told = [
            {**asdict(entry), "place_in_queue": places.get(entry.id), "exits": dict(GRAPH[entry.state].exits)}
            for entry in entries
        ]
        click.echo(json.dumps({"schema_version": 1, "entries": told}, indent=1))
        return
    counts = Counter(entry.state for entry in entries)
    click.echo(", ".join(f"{counts[state]} {state}" for state in GRAPH if counts[state]) or "no entries yet")
    for entry in entries:
        if everything or team is not None or entry.state not in (SCORED, WITHDRAWN):
            place = f", place {places[entry.id]} in the queue" if entry.id in places else ""
            ways = sorted(set(GRAPH[entry.state].exits.values()))
            click.echo(f"{entry_line(entry)}{place} (since {entry.since}; leads on: {', '.join(ways)})")


@click.command("withdraw")
@click.argument("numbers", metavar="ENTRY...", type=int, nargs=-1, required=True)
@click.option("--reason", required=True, help="Why; the log says it, too.")
@folder_option
def withdraw_command(numbers: tuple[int, ...], reason: str, folder: Path) -> None:
    """Take entries out of the contest. They are kept, with all that is known of them; retry takes it back.

    What was charged stays charged.
    """
    from contest.errors import UserError
    from organiser.books.states import WITHDRAWN
    from organiser.desk import open_desk
    from organiser.letters import write_state

    desk = open_desk(folder)
    chosen = [desk.ledger.entry(number) for number in numbers]
    gone = [entry for entry in chosen if entry.state == WITHDRAWN]
    if gone:
        raise UserError(f"entry {gone[0].id} is withdrawn already; jdart-organise retry {gone[0].id} takes it back")
    for entry in chosen:
        if not desk.ledger.move(entry, WITHDRAWN, reason):
            raise UserError(f"entry {entry.id} changed while this was asked; look at: jdart-organise status --all")
        write_state(desk, desk.ledger.entry(entry.id))
        click.echo(entry_line(desk.ledger.entry(entry.id)))
    click.echo("the board shows it after: jdart-organise publish")


@click.command("choose")
@click.argument("team")
@click.argument("numbers", metavar="[ENTRY]...", type=int, nargs=-1)
@folder_option
def choose_command(team: str, numbers: tuple[int, ...], folder: Path) -> None:
    """Note which entries a team wants to count, in place of what it chose before; none: it takes its choice back."""
    from organiser.choosing import choose
    from organiser.desk import open_desk

    choose(open_desk(folder), team, numbers)
    click.echo(f"{team}: {', '.join(map(str, sorted(set(numbers)))) or 'nothing chosen'}")
