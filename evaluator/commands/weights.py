"""`jdart-eval weights`: fetch, list, verify and invent the networks that the metrics need."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from contest.console import FINDINGS
from contest.screen import screen

if TYPE_CHECKING:
    from evaluator.weights.catalogue import Standing
    from evaluator.weights.pull import Progress

_FOLDER = click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")


@click.group("weights")
def command() -> None:
    """The networks that the metrics need."""


@command.command()
@_FOLDER
@click.option("--preset", type=click.Choice(["tiny", "full"]), default="tiny", show_default=True, help="The sizes.")
@click.option("--seed", type=click.IntRange(min=0), default=11, show_default=True)
def new(folder: Path, preset: str, seed: int) -> None:
    """Write random weights in the real file formats to DIR, for tests and trials.

    `tiny` is for tests; `full` has the contest's sizes, for timing (2.3 GB, a minute). The same seed gives the same
    numbers everywhere. Scores made with them say nothing about pictures.
    """
    from evaluator.weights.miniature import write_miniature

    write_miniature(folder, seed, preset)
    kind = "miniature" if preset == "tiny" else "full-size random"
    click.echo(f"{folder}: {kind} weights (seed {seed}); scores made with them are not comparable with any others")


@command.command()
@_FOLDER
@click.option(
    "--with",
    "extras",
    type=click.Choice(["aesthetic"]),
    multiple=True,
    help="Fetch this too: the LAION aesthetic head, whose hash is noted in the lock when it first comes.",
)
@click.option("--force", is_flag=True, help="Replace files in DIR that are not the pinned ones.")
def pull(folder: Path, extras: Sequence[str], force: bool) -> None:
    """Fetch the contest's weights (about 2.3 GB) to DIR: what is missing, at pinned revisions, hashes checked.

    A download that was cut off goes on where it stopped when the command is run again. HF_ENDPOINT names a mirror of
    the Hugging Face hub. What came is noted in DIR/weights.lock.json.
    """
    from evaluator.weights.catalogue import EXTRAS, NETWORKS
    from evaluator.weights.pull import pull

    files = [*NETWORKS, *(file for extra in dict.fromkeys(extras) for file in EXTRAS[extra])]
    with _bars() as progress:
        fetched = pull(folder, files, force=force, progress=progress)
    click.echo(f"{folder}: fetched {len(fetched)} of {len(files)} files, the others were there; all are as pinned")


@command.command("list")
@click.argument("folder", type=click.Path(path_type=Path), metavar="[DIR]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def list_(folder: Path | None, as_json: bool) -> None:
    """Show every file, its source and its pin; with DIR also what is there and whether it is right.

    A state is `right` (as the pin or the lock says), `wrong`, `missing`, or `unverified`: there, but nothing says which
    hash it should have until `weights pull` has asked the hub.
    """
    from evaluator.weights.catalogue import BUNDLED, EXTRAS, NETWORKS, stand

    files = [*NETWORKS, *(file for group in EXTRAS.values() for file in group), *BUNDLED]
    optional = {file.name for group in EXTRAS.values() for file in group}
    folder = None if folder is None else _existing(folder)
    standings = None if folder is None else {item.file.name: item for item in stand(folder, files)}
    if standings is not None:
        files = [item.file for item in standings.values()]
    rows = [_row(file, None if standings is None else standings[file.name], file.name in optional) for file in files]
    if as_json:
        import json

        click.echo(json.dumps({"schema_version": 1, "files": rows}, indent=1))
    else:
        _show(rows, folder)


@command.command()
@_FOLDER
def verify(folder: Path) -> None:
    """Hash every file in DIR and compare it with its pin and the folder's lock.

    Exit code 0: all are as pinned; 1: some are not, or cannot be vouched for (miniature and toy weights never
    can); 2: misuse.
    """
    from evaluator.weights.catalogue import RIGHT, stand_all
    from evaluator.weights.folder import is_miniature, is_toy

    folder = _existing(folder)
    if is_toy(folder):
        click.echo(f"{folder}: toy weights, as they come with jdart; they are not the contest's", err=True)
        raise SystemExit(FINDINGS)
    if is_miniature(folder):
        click.echo(f"{folder}: miniature weights, for tests and trials only; they are not the contest's", err=True)
        raise SystemExit(FINDINGS)
    standings = stand_all(folder)
    findings = [item for item in standings if item.state != RIGHT]
    for item in findings:
        click.echo(f"{item.file.name}: {_advice(item, folder)}", err=True)
    if findings:
        click.echo(f"{folder}: {len(findings)} of {len(standings)} files are not known to be the pinned ones", err=True)
        raise SystemExit(FINDINGS)
    click.echo(f"{folder}: all {len(standings)} files are as pinned")


def _existing(folder: Path) -> Path:
    """The folder that is meant, if it is there."""
    from contest.errors import UserError
    from evaluator.weights.folder import find_weights

    folder = find_weights(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such weights folder; `jdart-eval weights pull {folder}` makes it")
    return folder


def _advice(item: Standing, folder: Path) -> str:
    from evaluator.weights.catalogue import MISSING, UNVERIFIED, WheelFile

    if isinstance(item.file, WheelFile):
        return f"{item.state}, in {item.file.source}; install it anew: pip install --force-reinstall lpips==0.1.4"
    if item.state == MISSING:
        return f"missing; `jdart-eval weights pull {folder}` fetches it"
    if item.state == UNVERIFIED:
        return f"unverified, no lock vouches for it; `jdart-eval weights pull {folder}` asks {item.file.source}"
    found, expected = str(item.sha256)[:12], str(item.expected)[:12]
    return f"wrong, sha256 {found}, expected {expected}; move it away and run `jdart-eval weights pull {folder}`"


def _row(file: Any, standing: Standing | None, optional: bool) -> dict[str, Any]:
    row = {"name": file.name, "source": file.source, "optional": optional, "pin": file.sha256}
    if standing is None:
        return row
    return {**row, "state": standing.state, "size": standing.size, "sha256": standing.sha256}


def _show(rows: Sequence[dict[str, Any]], folder: Path | None) -> None:
    from rich.filesize import decimal
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="pinned weights" if folder is None else f"weights in {escape(str(folder))}")
    for title in ("file", "source"):
        table.add_column(title, overflow="fold")
    table.add_column("sha256 pin", no_wrap=True)
    if folder is not None:
        table.add_column("size", justify="right", no_wrap=True)
        table.add_column("state", no_wrap=True)
    colours = {"right": "green", "wrong": "red", "missing": "red", "unverified": "yellow"}
    for row in rows:
        name = f"{row['name']} (optional)" if row["optional"] else row["name"]
        cells = [escape(name), escape(row["source"]), "" if row["pin"] is None else row["pin"][:12]]
        if folder is not None:
            colour = "dim" if row["optional"] and row["size"] is None else colours[row["state"]]
            size = "" if row["size"] is None else decimal(row["size"])
            cells += [size, f"[{colour}]{row['state']}[/{colour}]"]
        table.add_row(*cells)
    screen().print(table)


@contextmanager
def _bars() -> Iterator[Progress]:
    """A bar per file on standard error where that is a terminal, nothing otherwise."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as bars:
        tasks: dict[str, Any] = {}

        def update(name: str, done: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total)
            bars.update(tasks[name], completed=done, total=total)

        yield update
