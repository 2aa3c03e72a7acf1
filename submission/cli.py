"""jdart-submit: arguments in, exit code out."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any

import click

from contest.console import FINDINGS, Group, version_option
from submission.commands.package import package_command

if TYPE_CHECKING:
    from contest.definition import Contest
    from contest.findings import Finding

_STYLES: dict[str, dict[str, Any]] = {
    "style": {"bold": True},
    "error": {"fg": "red"},
    "warning": {"fg": "yellow"},
    "item": {},
    "hint": {"dim": True},
}


def _common(command: Callable[..., Any]) -> Callable[..., Any]:
    options = (
        click.argument("path", type=click.Path(path_type=Path)),
        click.option("--contest", metavar="NAME|FILE", help="A shipped contest's name, or a contest's .yaml file."),
        click.option(
            "--references",
            metavar="DIR",
            help="The contest's references, <DIR>/<style>/images and prompt.json: no output may be a copy of one; "
            "without --contest, the contest itself.",
        ),
        click.option("--styles", metavar="00,04", help="Look at these styles only."),
        click.option(
            "--format",
            "form",
            type=click.Choice(["text", "json", "github"]),
            default="text",
            show_default=True,
            help="github: annotations, and the whole list in the file that $GITHUB_STEP_SUMMARY names.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@version_option("jdart-submit")
def main() -> None:
    """Check, pack, verify and compare entries to a contest.

    PATH is a run folder (with run.json), a folder of style folders, or a zip archive. Exit codes: 0 good,
    1 findings or differences, 2 misuse or unreadable input.
    """


@main.command("check")
@_common
def check_command(path: Path, contest: str | None, references: str | None, styles: str | None, form: str) -> None:
    """List everything that is wrong with an entry.

    A run folder and a built archive say which contest they are for, any other PATH needs --contest or --references.
    """
    from submission import check

    chosen = _contest(path, contest, references, styles)
    _report(path, chosen, check(path, chosen, references), form)


@main.command("build")
@_common
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="The archive to write  [default: PATH/entry.zip of a run folder]",
)
@click.option("--force", is_flag=True, help="Replace an archive that differs.")
@click.option("--include-weights", is_flag=True, help="Add each style's LoRA, token and composition.")
def build_command(
    path: Path,
    contest: str | None,
    references: str | None,
    styles: str | None,
    form: str,
    out: Path | None,
    force: bool,
    include_weights: bool,
) -> None:
    """Pack an entry that has no errors into an archive.

    Equal entries give equal bytes. The manifest.json inside says the hash of every file and how the pictures were made:
    settings, seed, base model, LoRA files and libraries of a run folder, its git commit, and its Final if these
    pictures were scored.
    """
    from submission import UserError, build
    from submission.packing.build import REFUSED
    from submission.packing.source import RUN

    if out is None:
        if not (path / RUN).is_file():
            raise UserError("say which archive to write: -o entry.zip")
        out = path / "entry.zip"
    chosen = _contest(path, contest, references, styles)
    result = build(path, chosen, out, force, include_weights, references)
    if result.state == REFUSED:
        _report(path, chosen, result.findings, form, f"{out} was not written")
        return
    if form == "json" or result.findings:
        _report(path, chosen, result.findings, form)
    if form != "json":
        state = "already up to date" if result.state == "up to date" else "written"
        click.echo(f"{out}: {state}, {chosen.pictures} pictures, {result.size} bytes, sha256 {result.sha256}")


@main.command("verify")
@_common
def verify_command(path: Path, contest: str | None, references: str | None, styles: str | None, form: str) -> None:
    """Prove an archive against its manifest and the rules.

    It must be what build wrote, to the last byte. Nothing is unpacked. LoRA files beside the pictures are fine where
    the archive's manifest lists them.
    """
    from submission import verify
    from submission.packing.build import require_archive

    require_archive(path)
    chosen = _contest(path, contest, references, styles)
    _report(path, chosen, verify(path, chosen, references), form)


@main.command("diff")
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option("--plot", type=click.Path(path_type=Path), metavar="OUT.png", help="Draw A, B and their difference, too.")
@click.option(
    "--rows", type=click.IntRange(1, 200), default=12, show_default=True, help="How many pictures to draw, at most."
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def diff_command(a: Path, b: Path, plot: Path | None, rows: int, form: str) -> None:
    """Say which pictures differ between two entries.

    They were added, removed or changed, and how much, from A to B. Pixels count: a picture that was only saved anew is
    the same. Exit code 0: the same pictures; 1: they differ.
    """
    from submission.diff.apart import folders_apart
    from submission.diff.compare import compare_entries, is_same, open_pairs
    from submission.diff.formats import diff_json, diff_lines
    from submission.diff.sheet import write_sheet
    from submission.telling.formats import printable

    if plot is not None:
        _require_free(plot, a, b)
    with open_pairs(a, b) as pairs:
        changes = compare_entries(pairs)
        apart = folders_apart(pairs)
        names = (str(a), str(b)) if a.name == b.name else (a.name, b.name)
        left_out = 0 if plot is None else write_sheet(plot, pairs, changes, names, rows)
    if form == "json":
        click.echo(diff_json(str(a), str(b), changes))
    else:
        for line in diff_lines(str(a), str(b), changes):
            click.echo(line)
        if plot is not None:
            rest = f"; {left_out} left out, --rows draws more" if left_out > 0 else ""
            click.echo(f"{plot}: written{rest}")
    for path, top in zip((a, b), ("", "") if apart is None else apart):
        if top:
            cure = f"compare {path / top}" if path.is_dir() else "zip what is inside, not the folder itself"
            click.echo(printable(f"{path}: its pictures lie deeper, in {top}; {cure}"), err=True)
    if not is_same(changes):
        raise SystemExit(FINDINGS)


def _require_free(plot: Path, *entries: Path) -> None:
    """UserError where a sheet would replace an entry, or be a stray file in one."""
    from contest.disk.writable import require_file
    from submission import UserError
    from submission.packing.source import open_source

    if plot.is_dir():
        raise UserError(f"{plot}: is a directory; name the file to write, which ends in .png")
    if plot.suffix.lower() != ".png":
        raise UserError(f"{plot}: the sheet is a PNG; give it a name that ends in .png")
    for entry in entries:
        taken = open_source(entry).pictures.resolve()
        if taken in (plot.resolve(), *plot.resolve().parents):
            raise UserError(f"{plot}: lies in {entry}, where it would be a stray file; choose another place")
    require_file(plot)


main.add_command(package_command)


def _contest(path: Path, contest: str | None, references: str | None, styles: str | None) -> Contest:
    from submission.packing.source import choose_contest, open_source

    wanted = None if styles is None else [style.strip() for style in styles.split(",") if style.strip()]
    return choose_contest(open_source(path), contest, references, wanted)


def _report(path: Path, contest: Contest, findings: Sequence[Finding], form: str, note: str | None = None) -> None:
    from contest.findings import errors
    from submission.telling.formats import as_json, as_lines, printable, verdict

    if form == "json":
        click.echo(as_json(str(path), contest, findings))
    else:
        if form == "github":
            _annotate(path, contest, findings)
        else:
            for role, line in as_lines(findings, get_terminal_size().columns):
                click.echo(click.style(line, **_STYLES[role]))
        what = f"contest {contest.name}, {len(contest.styles)} styles, {contest.pictures} pictures"
        line = f"{printable(str(path))}: {verdict(findings)} ({what})"
        click.echo(click.style(line, bold=True, fg="red" if errors(findings) else "green"))
        if note is not None:
            click.echo(note)
    if errors(findings):
        raise SystemExit(FINDINGS)


def _annotate(path: Path, contest: Contest, findings: Sequence[Finding]) -> None:
    from submission.packing.source import open_source
    from submission.telling.github import append_summary, as_annotations

    root = open_source(path).pictures if path.is_dir() else path
    for line in as_annotations(root, findings):
        click.echo(line)
    summary = os.environ.get("GITHUB_STEP_SUMMARY", "")
    if summary:
        append_summary(Path(summary), path, contest, findings)
