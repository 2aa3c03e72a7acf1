"""jdart-submit: arguments in, exit code out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from submission.console import FINDINGS, Group, version_option

if TYPE_CHECKING:
    from submission.checks import Finding
    from submission.contest import Contest

_STYLES = {"style": "bold", "code": "red", "item": "", "hint": "dim"}
_INDENTS = {"style": "", "code": "  ", "item": "    ", "hint": "    -> "}


def _common(command: Callable[..., Any]) -> Callable[..., Any]:
    options = (
        click.argument("path", type=click.Path(path_type=Path)),
        click.option("--contest", metavar="NAME|FILE", help="A shipped contest's name, or a contest's .yaml file."),
        click.option("--references", metavar="DIR", help="Take the contest from <DIR>/<style>/prompt.json."),
        click.option("--styles", metavar="00,04", help="Look at these styles only."),
        click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@version_option("jdart-submit")
def main() -> None:
    """Check, pack and verify an entry to the contest.

    PATH is a run folder (with run.json), a folder of style folders, or a zip archive. Exit codes: 0 good,
    1 findings, 2 misuse or unreadable input.
    """


@main.command("check")
@_common
def check_command(path: Path, contest: str | None, references: str | None, styles: str | None, form: str) -> None:
    """List everything that is wrong with an entry."""
    from submission import check

    chosen = _contest(path, contest, references, styles)
    _report(path, chosen, check(path, chosen), form)


@main.command("build")
@_common
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="The archive to write  [default: PATH/entry.zip of a run folder]",
)
@click.option("--force", is_flag=True, help="Replace an archive that differs.")
def build_command(
    path: Path,
    contest: str | None,
    references: str | None,
    styles: str | None,
    form: str,
    out: Path | None,
    force: bool,
) -> None:
    """Pack an entry without findings into an archive; equal pictures give equal bytes."""
    from submission import UserError, build
    from submission.source import RUN

    if out is None:
        if not (path / RUN).is_file():
            raise UserError("say which archive to write: -o entry.zip")
        out = path / "entry.zip"
    chosen = _contest(path, contest, references, styles)
    result = build(path, chosen, out, force)
    if result.findings:
        _report(path, chosen, result.findings, form, f"{out} was not written")
    elif form == "json":
        _report(path, chosen, (), form)
    else:
        state = "already up to date" if result.state == "up to date" else "written"
        click.echo(f"{out}: {state}, {chosen.pictures} pictures, {result.size} bytes, sha256 {result.sha256}")


@main.command("verify")
@_common
def verify_command(path: Path, contest: str | None, references: str | None, styles: str | None, form: str) -> None:
    """Prove that an archive is what build wrote, to the last byte, and keeps the rules."""
    from submission import verify
    from submission.entry import require_archive

    require_archive(path)
    chosen = _contest(path, contest, references, styles)
    _report(path, chosen, verify(path, chosen), form)


def _contest(path: Path, contest: str | None, references: str | None, styles: str | None) -> Contest:
    from submission.source import choose_contest, open_source

    wanted = None if styles is None else [style.strip() for style in styles.split(",") if style.strip()]
    return choose_contest(open_source(path), contest, references, wanted)


def _report(path: Path, contest: Contest, findings: Sequence[Finding], form: str, note: str | None = None) -> None:
    from submission.formats import as_json, as_lines, printable

    if form == "json":
        click.echo(as_json(str(path), contest, findings))
    else:
        from rich.console import Console
        from rich.text import Text

        console = Console(highlight=False, soft_wrap=True)
        for role, line in as_lines(findings):
            console.print(Text(_INDENTS[role] + line, style=_STYLES[role]))
        what = f"contest {contest.name}, {len(contest.styles)} styles, {contest.pictures} pictures"
        verdict = "good" if not findings else f"{len(findings)} finding{'s' if len(findings) > 1 else ''}"
        console.print(
            Text(f"{printable(str(path))}: {verdict} ({what})", style="red bold" if findings else "green bold")
        )
        if note is not None:
            console.print(Text(note))
    if findings:
        raise SystemExit(FINDINGS)
