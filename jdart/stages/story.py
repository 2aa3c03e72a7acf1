"""What lies beside the pictures of a story: the table of their prompts, and the sheet that shows them all."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from contest.definition import Story
from contest.disk.files import write_bytes
from contest.disk.spreadsheet import MARK, to_plain_csv
from jdart.data.pictures import read_rgb
from jdart.runs.job import Job

if TYPE_CHECKING:
    from PIL import Image


def tell_story(job: Job) -> None:
    """Write the table and the sheet of a story when all of its pictures are there; nothing where there is no story."""
    rules = job.contest.story
    if rules is None or not job.folder.story:
        return
    style = next(iter(job.contest.styles))
    pictures = {prompt: job.folder.image(style, prompt) for prompt in job.folder.story}
    if not all(path.exists() for path in pictures.values()):
        return
    rows = [(path.name, job.config.data.template.format(object=p, id=style)) for p, path in pictures.items()]
    table = MARK + to_plain_csv(("file", "prompt"), rows)  # as it is: a prompt is no formula to those who read it
    _write(job.folder.images / rules.prompts, table)
    stream = io.BytesIO()
    story_sheet(list(pictures.values()), rules).save(stream, format="PNG")
    _write(job.folder.images / rules.sheet, stream.getvalue())


def story_sheet(pictures: Sequence[Path], rules: Story) -> Image.Image:
    """Pictures of one size beside and below each other, left to right, as the contest's notebook joins them.

    Joined first and then made as large as the rules say (bicubic); white where the last row has none.
    """
    from PIL import Image

    rows, columns = rules.grid(len(pictures))
    first = Image.fromarray(read_rgb(pictures[0]))
    whole = Image.new("RGB", (columns * first.width, rows * first.height), "white")
    for place, path in enumerate(pictures):
        row, column = divmod(place, columns)
        whole.paste(Image.fromarray(read_rgb(path)), (column * first.width, row * first.height))
    return whole.resize((columns * rules.cell, rows * rules.cell), Image.Resampling.BICUBIC)


def _write(path: Path, data: bytes) -> None:
    if not path.is_file() or path.read_bytes() != data:
        write_bytes(path, data)
