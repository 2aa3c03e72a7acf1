"""What the four command lines share: how errors, Ctrl-C and versions reach the person at the terminal."""

from __future__ import annotations

import errno
from typing import Any

import click

from submission.errors import UserError

MISUSE = 2
FINDINGS = 1
INTERRUPTED = 130


class Group(click.Group):
    """A click group whose commands never end in a traceback for bad input.

    UserError and operating-system errors become one line and exit code 2, Ctrl-C one line and 130.
    """

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except UserError as error:
            _fail(str(error), MISUSE)
        except BrokenPipeError:
            raise
        except OSError as error:
            _fail(_explain(error), MISUSE)
        except KeyboardInterrupt:
            _fail("stopped; what was finished is kept, run the same command again to go on", INTERRUPTED)


def version_option(command: str) -> Any:
    """`--version`, read from the installed package's metadata."""

    def show(ctx: click.Context, _: click.Parameter, value: bool) -> None:
        if value and not ctx.resilient_parsing:
            from importlib.metadata import version

            click.echo(f"{command} {version('jdart')}")
            ctx.exit()

    return click.option(
        "--version",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=show,
        help="Show the version and exit.",
    )


def _fail(message: str, code: int) -> None:
    click.echo(f"error: {message}" if code == MISUSE else message, err=True)
    raise SystemExit(code)


def _explain(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename is not None else ""
    if error.errno == errno.ENOSPC:
        return f"{where}no space left on the disk; free some and run the same command again to go on"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{where}permission denied"
    return f"{where}{error.strerror if error.strerror is not None else error}"
