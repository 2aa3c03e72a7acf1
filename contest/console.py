"""What the four command lines share: how errors, Ctrl-C and versions reach the person at the terminal."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import threading
from types import FrameType
from typing import Any

import click

from contest.errors import UserError

MISUSE = 2
FINDINGS = 1
INTERRUPTED = 130
TERMINATED = 143


_STOPPED = "stopped; what was finished is kept, run the same command again to go on"
_NO_MEMORY = "not enough memory; take a smaller data.size or batch_size, or close other programs"
_ONEDNN = "could not create a primitive"  # and no more: more is said of what it cannot do
# by PyTorch, by C++, by Jittor, by the loader of shared libraries, where a thread could not be started
_SAID_OF_MEMORY = (
    "t allocate memory",
    "bad_alloc",
    "out of memory",
    "failed to map segment",
    "start new thread",
    "resource temporarily unavailable",
)


class Group(click.Group):
    """A click group whose commands never end in a traceback for bad input.

    UserError and operating-system errors become one line and exit code 2, Ctrl-C one line and 130. SIGTERM, by which
    a scheduler ends a job, is met like Ctrl-C, with 143. Output that nothing takes is no bug either: a full disk gives
    2, a pipe that was closed (as by `| head`) 1 and no word.
    """

    def main(self, *args: Any, **extra: Any) -> Any:
        try:
            try:
                return super().main(*args, **extra)
            finally:
                for stream in (sys.stdout, sys.stderr):
                    if stream is not None:  # closed by whoever started this
                        stream.flush()  # not when Python ends, where what goes wrong is told in its own words
        except BrokenPipeError:
            _let_go_of_output()
            raise SystemExit(FINDINGS) from None
        except OSError as error:
            _let_go_of_output()
            _fail(_explain(error), MISUSE)

    def invoke(self, ctx: click.Context) -> Any:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, _terminate)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # names may hold what the terminal cannot show
        try:
            return super().invoke(ctx)
        except UserError as error:
            _fail(str(error), MISUSE)
        except BrokenPipeError:
            raise
        except OSError as error:
            _let_go_of_output()
            _fail(_explain(error), MISUSE)
        except (MemoryError, RuntimeError, ImportError) as error:
            if not _means_no_memory(error):
                raise
            _fail(_NO_MEMORY, MISUSE)
        except _Terminated:
            _fail(_STOPPED, TERMINATED)
        except KeyboardInterrupt:
            _fail(_STOPPED, INTERRUPTED)


def _means_no_memory(error: BaseException) -> bool:
    """Whether memory ran out: Python says MemoryError, libraries other things."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or said == _ONEDNN or any(words in said for words in _SAID_OF_MEMORY)


class _Terminated(BaseException):
    """SIGTERM, raised where the program is, so that what it was writing is cleared away."""


def _terminate(signum: int, frame: FrameType | None) -> None:
    raise _Terminated


def _let_go_of_output() -> None:
    """What Python still holds for a stream that failed goes nowhere, or it would try again when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(nowhere, stream.fileno())
        except (AttributeError, ValueError):  # there is none, or it was closed
            pass
    os.close(nowhere)


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
    try:
        click.echo(f"error: {message}" if code == MISUSE else message, err=True)
    except OSError:  # the code says it, too
        _let_go_of_output()
    raise SystemExit(code)


def _explain(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename is not None else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{where}no space left on the disk; free some and run the same command again to go on"
    if error.errno == errno.ENOMEM:
        return _NO_MEMORY
    if error.errno == errno.EFBIG:
        return f"{where}larger than files may be here; raise the limit (ulimit -f), and run the same command again"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{where}permission denied; choose another place, or change who may use this one"
    reason = error.strerror if error.strerror is not None else str(error)
    return f"{where}{reason[:1].lower()}{reason[1:]}; choose another file or folder"
