"""`jdart-organise review` and `reproduce`."""

from __future__ import annotations

from pathlib import Path

import click

from organiser.commands.options import folder_option


@click.command("review")
@folder_option
def review_command(folder: Path) -> None:
    """List what should be looked at: near-copies between teams, copies of references, sudden jumps.

    It goes into review.json, which is not published, and judges nobody: exit code 0, however long the list is.
    """
    from dataclasses import asdict

    from contest.disk.files import write_json
    from evaluator.commands.options import progress_bars
    from organiser.desk import open_desk
    from organiser.reviewing.suspicion import review

    desk = open_desk(folder)
    with progress_bars("entries") as bars:
        found = review(desk, lambda done, total: bars("entries", done, total))
    write_json(folder / "review.json", {"schema_version": 1, **asdict(found)})
    for remark in found.remarks:
        click.echo(f"note: {remark}", err=True)
    for one in found.suspects:
        who = " and ".join(f"entry {entry} of {team}" for entry, team in zip(one.entries, one.teams))
        click.echo(f"{one.kind}: {who}: {one.said}")
    click.echo(f"{folder / 'review.json'}: {len(found.suspects)} to look at in {found.entries} entries")


@click.command("reproduce")
@click.argument("number", metavar="ENTRY", type=int)
@folder_option
def reproduce_command(number: int, folder: Path) -> None:
    """Draw some of an entry's pictures again by `jdart redraw`, and compare with the tolerance in the rules.

    The archive needs its LoRA files (jdart-submit build --include-weights), the rules a base model. Exit code 1: it is
    not reproduced, or undecided because pictures could not be drawn.
    """
    from contest.console import FINDINGS
    from contest.numbers import decimal
    from organiser.desk import open_desk
    from organiser.reviewing.reproduction import REPRODUCED, reproduce

    desk = open_desk(folder)
    result = reproduce(desk, desk.ledger.entry(number))
    for one in result.pictures:
        how = one.said if one.difference is None else f"differs by {decimal(one.difference, 3)}"
        click.echo(f"{one.picture}: {how} ({'good' if one.good else 'not reproduced'})")
    click.echo(f"{result.place}: entry {number} is {result.outcome}")
    if result.outcome != REPRODUCED:
        raise SystemExit(FINDINGS)
