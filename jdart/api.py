"""Training and drawing from Python: what `jdart train` and `jdart generate` do, with results that notebooks show."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from contest.disk.alone import alone_in
from contest.notebook import html_table
from contest.numbers import decimal
from jdart.config import Config
from jdart.data.pictures import read_rgb
from jdart.running.pipeline import require_scorable
from jdart.runs.job import Event, Job, open_job
from jdart.stages.composition import learn_styles
from jdart.stages.drawing import generate_styles
from jdart.stages.learning import lessons
from jdart.stages.prior import make_prior
from jdart.stages.remarks import warn_of_idle_settings, warn_of_other_bases
from jdart.stages.training import require_startable

if TYPE_CHECKING:
    from PIL.Image import Image

Progress = Callable[[Event], None]


def silent(event: Event) -> None:
    """The progress that says nothing."""


@dataclass(frozen=True)
class Trained:
    """What `train` made: a LoRA a style, or one named "packed". A notebook shows it as a table.

    `folder` is the run folder; `loras` maps a name to its safetensors file; `losses` to the mean loss of every step.
    """

    folder: Path
    loras: Mapping[str, Path]
    losses: Mapping[str, tuple[float, ...]]

    def _repr_html_(self) -> str:
        rows = []
        for name, path in self.loras.items():
            steps = self.losses[name]
            ends = [decimal(loss, 4) for loss in (steps[0], steps[-1])] if steps else ["", ""]
            rows.append((name, str(len(steps)), *ends, str(path.relative_to(self.folder))))
        return html_table(("LoRA", "steps", "first loss", "last loss", "file"), rows, f"Trained in {self.folder}")


@dataclass(frozen=True)
class Drawn:
    """What `generate` drew. A notebook shows its contact sheets, one below the other.

    `folder` is the run folder; `images` maps style -> prompt -> PNG file; `sheets` maps a style to its contact sheet.
    """

    folder: Path
    images: Mapping[str, Mapping[str, Path]]
    sheets: Mapping[str, Path]

    def sheet(self) -> Image:
        """All contact sheets as one RGB picture. Raises UserError for a file that is not there any more."""
        from PIL import Image

        sheets = [Image.fromarray(read_rgb(path)) for path in self.sheets.values()]
        size = (max(sheet.width for sheet in sheets), sum(sheet.height for sheet in sheets))
        whole = Image.new("RGB", size, "white")
        top = 0
        for sheet in sheets:
            whole.paste(sheet, (0, top))
            top += sheet.height
        return whole

    def _repr_png_(self) -> bytes:
        out = io.BytesIO()
        self.sheet().save(out, format="PNG")
        return out.getvalue()


def train(config: Config, *, device: str = "auto", progress: Progress = silent) -> Trained:
    """Train one LoRA a style, or what is missing of them, in the run folder `config.output`.

    `device` is "auto", "cpu" or "cuda". `progress` is called with an `Event` after every step: stage, style, `done` of
    `total`. References are read from `config.references` (RGB pictures of any size, brought to `config.data.size`
    pixels). Stop it as you like: called again it goes on from the last checkpoint.

    Raises `contest.errors.UserError`, one line that says what to do, for what is missing, unreadable or does not fit.
    """
    job = _open(config, device)
    if config.train.composition is not None:  # whose pictures CLIP chooses
        require_scorable(job)
    require_startable(job)
    with alone_in(job.folder.root, "jdart"):
        _prepare(job)
        _go(make_prior(job), progress)
        _go(learn_styles(job), progress)
    loras = {name: job.folder.lora(name) for name in lessons(job)}
    return Trained(job.folder.root, loras, {name: _losses(job.folder.losses(name)) for name in loras})


def generate(config: Config, *, device: str = "auto", progress: Progress = silent) -> Drawn:
    """Draw every picture of the contest that is missing in the run folder `config.output`, and a sheet for each style.

    The pictures are PNG files, 8-bit RGB, `config.data.size` pixels on each side. `device` and `progress` are those of
    `train`. Raises `contest.errors.UserError` for a style that is not trained yet, and as `train` does.
    """
    job = _open(config, device)
    with alone_in(job.folder.root, "jdart"):
        _prepare(job)
        _go(generate_styles(job), progress)
    images = {
        style: {prompt: job.folder.image(style, prompt) for prompt in prompts}
        for style, prompts in job.contest.styles.items()
    }
    return Drawn(job.folder.root, images, {style: job.folder.sheet(style) for style in images})


def _open(config: Config, device: str) -> Job:
    from jdart.runtime import start

    start(device)
    return open_job(config)


def _prepare(job: Job) -> None:
    warn_of_idle_settings(job)
    warn_of_other_bases(job)
    job.note()


def _go(events: Iterable[Event], progress: Progress) -> None:
    for event in events:
        progress(event)


def _losses(table: Path) -> tuple[float, ...]:
    """The losses that loss.csv lists; none where a LoRA was not trained here."""
    if not table.exists():
        return ()
    with open(table, encoding="utf-8", newline="") as stream:
        return tuple(float(row["loss"]) for row in csv.DictReader(stream))
