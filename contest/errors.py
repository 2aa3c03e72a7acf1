"""The one exception that means "the user can cure this", shared by all four packages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from contest.names import printable


class UserError(Exception):
    """Misuse or unreadable input. The message is one line and says what to do next; commands exit with 2.

    Messages quote names out of strangers' files: what is not printable in them, line breaks too, is escaped.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(printable(str(message)))


def first_line(error: BaseException) -> str:
    """What a library says in one line; its type where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Turn a missing package inside the block into one line that names the extra to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise UserError(f"{error.name} is not installed; run: pip install 'jdart[{extra}]'") from error
