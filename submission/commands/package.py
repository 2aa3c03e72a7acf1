"""`jdart-submit package`."""

from __future__ import annotations

from pathlib import Path

import click

from contest.console import FINDINGS


@click.command("package")
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--contest", metavar="NAME|FILE", required=True, help="The edition whose rules count, such as jittor-2026."
)
@click.option("--track", metavar="NAME", help="The edition's track  [default: its first]")
@click.option("--team", metavar="NAME", help="The team's registered name.")
@click.option("--rank", type=click.IntRange(min=1), help="The team's rank on the board.")
@click.option("-o", "--out", type=click.Path(path_type=Path), metavar="DIR", help="Pack it, under its name, into DIR.")
@click.option("--force", is_flag=True, help="Replace an archive that differs.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def package_command(
    path: Path,
    contest: str,
    track: str | None,
    team: str | None,
    rank: int | None,
    out: Path | None,
    force: bool,
    form: str,
) -> None:
    """Check, and pack with -o, the archive of code that an edition asks of a team.

    PATH is a folder with the code, an environment file and the description, or such an archive. No code is run. Beside
    the archive -o puts a list of its files with their SHA-256. What only a person can see to is told at the end. Exit
    codes: 0 good, 1 findings, 2 misuse or unreadable input.
    """
    from shutil import get_terminal_size

    from contest.definition import Contest
    from contest.errors import UserError
    from contest.findings import errors
    from submission.package.build import build, check
    from submission.package.rules import load_package
    from submission.packing.build import REFUSED, UP_TO_DATE
    from submission.telling.formats import as_json, as_lines, printable, verdict

    rules = load_package(contest)
    if out is None:
        if team is not None or rank is not None or track is not None or force:
            raise UserError("--track, --team, --rank and --force are for packing; say where to: -o DIR")
        findings, note = tuple(check(path, rules)), None
    else:
        if team is None or rank is None:
            raise UserError("the archive's name has team and rank; give --team and --rank")
        name = rules.archive_name(rules.tracks[0] if track is None else track, team, rank)
        packed = build(path, rules, out / name, force)
        done = "already up to date" if packed.state == UP_TO_DATE else "written"
        told = f"{packed.path}: {done}, {packed.files} files, {packed.size} bytes, sha256 {packed.sha256}"
        findings, note = packed.findings, None if packed.state == REFUSED else told
    if form == "json":
        click.echo(as_json(str(path), Contest(rules.name, {}, version=rules.version), findings))
    else:
        for _, line in as_lines(findings, get_terminal_size().columns, "folder"):
            click.echo(line)
        click.echo(f"{printable(str(path))}: {verdict(findings)} (package of {rules.name})")
        for one in rules.notes:
            click.echo(f"see to it yourself: {one}")
        if note is not None:
            click.echo(note)
        elif out is not None:
            click.echo(f"nothing was written to {out}")
    if errors(findings):
        raise SystemExit(FINDINGS)
