"""What several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from organiser.books.ledger import Entry
    from organiser.publish import Board


def folder_option(command: Any) -> Any:
    """--folder"""
    return click.option(
        "--folder",
        type=click.Path(path_type=Path),
        default=Path(),
        show_default="the working directory",
        metavar="DIR",
        help="The event's folder.",
    )(command)


def threads_option(command: Any) -> Any:
    """--threads"""
    return click.option(
        "--threads",
        type=click.IntRange(min=1),
        help="Threads of the networks [default: OMP_NUM_THREADS or all cores].",
    )(command)


def set_threads(threads: int | None) -> None:
    """As the evaluator's own command does, before torch is loaded."""
    from evaluator.commands.options import set_threads as set_them

    set_them(threads)


def entry_line(entry: Entry) -> str:
    """An entry in a line."""
    reason = f": {entry.reason}" if entry.reason else ""
    return f"{entry.id} {entry.team}: {entry.state}{reason}"


def board_line(board: Board, place: Path) -> str:
    """What was published, in a line."""
    ranked = sum(row.rank is not None for row in board.rows)
    kind = "final" if board.final else f"frozen since {board.frozen}" if board.frozen is not None else "live"
    return f"{place / 'standing.html'}: {ranked} teams ranked, {kind}"
