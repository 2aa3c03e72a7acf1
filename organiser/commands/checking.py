"""`jdart-organise rescore` and `audit`."""

from __future__ import annotations

from pathlib import Path

import click

from organiser.commands.options import board_line, folder_option, set_threads, threads_option


@click.command("rescore")
@folder_option
@threads_option
def rescore_command(folder: Path, threads: int | None) -> None:
    """Renew the scores after weights, profile, references, hidden part or code have changed.

    Old figures count until all are renewed. Pictures are looked at again only by networks that have changed. Old and
    new stand side by side in rescores/ and on the board.
    """
    from contest.numbers import decimal
    from organiser.desk import at_work, open_desk
    from organiser.publish import publish
    from organiser.rescore import rescore
    from organiser.scorer import EventScorer, version_of
    from organiser.scoring import meet_scorer

    set_threads(threads)
    desk = open_desk(folder)
    with at_work(desk):
        scorer = EventScorer(desk)
        changed = meet_scorer(desk, scorer.parts)
        if not changed:
            click.echo(f"scorer {version_of(scorer.parts)} is in force already; nothing to renew")
            return
        before = desk.ledger.get("scorer")
        moved = rescore(desk, scorer)
        click.echo(f"scorer {before} -> {version_of(scorer.parts)}, because of {', '.join(changed)}")
        for one in moved:
            old, new = (decimal(side["final"], desk.event.decimals) for side in (one.old, one.new))
            said = f"{old} -> {new}" if one.changed else f"{new}, as before"
            ranks = f", rank {one.old_rank} -> {one.new_rank}" if one.old_rank != one.new_rank else ""
            click.echo(f"{one.entry} {one.team}: {said}{ranks}")
        click.echo(board_line(publish(desk), desk.site))


@click.command("audit")
@click.option(
    "--log", type=click.Path(path_type=Path), metavar="FILE", help="A published log.jsonl; no folder is needed."
)
@click.option(
    "--receipt", "receipts", type=click.Path(path_type=Path), multiple=True, metavar="FILE", help="Is it in the log?"
)
@click.option(
    "--earlier", type=click.Path(path_type=Path), metavar="FILE", help="Is this older log.jsonl its beginning?"
)
@folder_option
def audit_command(log: Path | None, receipts: tuple[Path, ...], earlier: Path | None, folder: Path) -> None:
    """Check that nothing was changed: the log's chain, and in an event's folder ledger, archives and reports, too.

    A team checks a published log with --log, its receipts with --receipt. Exit code 1: something does not agree.
    """
    from contest.console import FINDINGS
    from organiser.books.audit import audit_event, audit_log, read_log
    from organiser.books.log import read_lines
    from organiser.desk import open_desk

    problems = []
    if log is None:
        desk = open_desk(folder)
        problems += audit_event(desk)
        lines = read_lines(desk.ledger.lines())
    else:
        lines = read_log(log)
    found = audit_log(lines, receipts, None if earlier is None else read_log(earlier))
    problems = list(dict.fromkeys([*problems, *found]))
    for problem in problems:
        click.echo(problem)
    last = f", the last with hash {lines[-1]['hash']}" if lines else ""
    click.echo(f"{len(lines)} lines{last}: " + (f"{len(problems)} problems" if problems else "good"))
    if problems:
        raise SystemExit(FINDINGS)
