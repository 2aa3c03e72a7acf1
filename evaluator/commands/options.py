"""What several commands share: options, threads, progress bars."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from evaluator.scoring.scorer import Options
    from evaluator.scoring.viewer import Progress

_PLACE = click.Path(path_type=Path)


def references_option(required: bool) -> Callable[[Any], Any]:
    """--references"""
    return click.option(
        "--references",
        type=_PLACE,
        required=required,
        metavar="PATH",
        help="Folder of <style>/images and <style>/prompt.json, or a pack of `references pack`.",
    )


def weights_option(required: bool) -> Callable[[Any], Any]:
    """--weights"""
    return click.option(
        "--weights",
        type=_PLACE,
        required=required,
        metavar="DIR",
        help="The five networks, see `weights --help`; toy names those that come with jdart.",
    )


def entry_options(command: Any) -> Any:
    """What may be wrong with an entry."""
    for option in reversed(
        (
            click.option(
                "--as-is",
                is_flag=True,
                help="Score whatever pictures are there, complete or not, as the checker does.",
            ),
            click.option(
                "--strict/--skip-bad",
                default=True,
                show_default=True,
                help="Refuse an entry with bad pictures and list them all, or leave them out of the score.",
            ),
        )
    ):
        command = option(command)
    return command


def network_options(command: Any) -> Any:
    """How the networks look at pictures."""
    for option in reversed(
        (
            click.option(
                "--profile", default="official-2024", show_default=True, help="The library behaviour to reproduce."
            ),
            click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True),
            click.option(
                "--precision",
                type=click.Choice(["float32", "float16"]),
                default="float32",
                show_default=True,
                help="float16 is for a quick look: never comparable.",
            ),
            click.option(
                "--batch-size", type=click.IntRange(min=1), help="Pictures per forward pass [default: by size]."
            ),
            click.option(
                "--threads",
                type=click.IntRange(min=1),
                help="Threads of the networks [default: OMP_NUM_THREADS or all cores].",
            ),
            cache_options,
        )
    ):
        command = option(command)
    return command


def cache_options(command: Any) -> Any:
    """Where the feature cache is."""
    command = click.option("--no-cache", is_flag=True, help="Neither use the feature cache nor add to it.")(command)
    return cache_option(command)


def cache_option(command: Any) -> Any:
    """--cache"""
    return click.option(
        "--cache",
        type=_PLACE,
        metavar="DIR",
        help="Folder of the feature cache [default: $JDART_CACHE or ~/.cache/jdart].",
    )(command)


def extra_option(command: Any) -> Any:
    """--extra"""
    return click.option(
        "--extra",
        "extras",
        multiple=True,
        metavar="NAME",
        help="Further figures beside Final, never in it: corrected, aesthetic. May be given again.",
    )(command)


def read_options(
    profile: str,
    device: str,
    precision: str,
    batch_size: int | None,
    threads: int | None,
    cache: Path | None,
    no_cache: bool,
    extras: tuple[str, ...] = (),
) -> Options:
    """The options of `network_options` together; sets the number of threads, before torch is loaded."""
    from contest.errors import UserError
    from evaluator.scoring.scorer import Options

    if no_cache and cache is not None:
        raise UserError("--cache and --no-cache exclude each other; give one of them")
    set_threads(threads)
    place = not no_cache if cache is None else cache
    return Options(profile, extras, device, precision, place, batch_size)


def set_threads(threads: int | None) -> None:
    """As many threads as said, else as OMP_NUM_THREADS says, else as cores this process may use."""
    from contest.cores import cores

    # two programs whose waiting threads spin take turns at nothing; a short spin still spares small networks most of
    # the sleeping and waking
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    if threads is not None:
        os.environ["OMP_NUM_THREADS"] = str(threads)
    else:
        os.environ.setdefault("OMP_NUM_THREADS", str(cores()))


@contextmanager
def progress_bars(*further: str) -> Iterator[Progress]:
    """A bar per stage on standard error where that is a terminal, nothing otherwise."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        tasks = {
            stage: bars.add_task(stage, total=None, visible=False) for stage in (*further, "references", "outputs")
        }

        def update(stage: str, done: int, total: int) -> None:
            bars.update(tasks[stage], completed=done, total=total, visible=True)

        yield update
