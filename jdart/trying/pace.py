"""Seconds a picture, noted beside the pictures while they are drawn, and on what processor."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from contest.cores import processor
from contest.disk.files import read_json, write_json
from jdart.runs.job import Event, Job
from jdart.stages.drawing import generate_styles

FILE = "pace.json"


def timed_drawing(job: Job) -> Iterator[Event]:
    """The stage generate, style by style, each with its time noted where it was drawn whole and at once."""
    for style in job.contest.styles:
        alone = replace(job, contest=job.contest.subset([style]))
        old, spent = 0, 0.0
        begun = time.perf_counter()
        for event in generate_styles(alone):
            if event.skipped:
                old = event.done
            spent += time.perf_counter() - begun
            if event.done == event.total and old == 0:
                _note(job.folder.root / FILE, style, event.total, spent)
            yield event
            begun = time.perf_counter()  # not what was done with the event


def seconds_a_picture(folders: Sequence[Path]) -> float | None:
    """The median over the styles of some run folders: what a first one compiles does not count. None: unknown."""
    noted = [read_json(folder / FILE)["styles"] for folder in folders if (folder / FILE).exists()]
    paces = [style["seconds"] / style["pictures"] for styles in noted for style in styles.values()]
    return median(paces) if paces else None


def processors(folders: Sequence[Path]) -> tuple[str, ...]:
    """On what the pictures of some run folders were drawn."""
    return tuple(sorted({read_json(folder / FILE)["processor"] for folder in folders if (folder / FILE).exists()}))


def _note(path: Path, style: str, pictures: int, seconds: float) -> None:
    before = read_json(path)["styles"] if path.exists() else {}
    styles = {**before, style: {"pictures": pictures, "seconds": round(seconds, 4)}}
    write_json(path, {"processor": processor(), "styles": styles})
