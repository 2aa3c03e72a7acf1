"""Consoles for what people read: as wide as the terminal, or as what is printed where it goes into a file or a pipe."""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

WIDE = 10_000  # columns; a table takes what it needs of them


def screen(stderr: bool = False, file: IO[str] | None = None) -> Console:
    """A console on standard output, standard error or `file`. $COLUMNS counts where there is no terminal."""
    from rich.console import Console

    console = Console(stderr=stderr, file=file)
    if not console.is_terminal and not console.is_jupyter and "COLUMNS" not in os.environ:
        console.width = WIDE
    return console
