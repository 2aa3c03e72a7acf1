"""The aesthetic score of each picture of a story, which needs no references and has no Final."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from pathlib import Path

from contest.definition import Contest
from contest.entry.contents import BadItem, Item, open_contents
from contest.entry.gate import GateReport, Scored
from contest.errors import UserError, needs
from contest.names import PICTURE_ENDINGS, is_system
from evaluator.arithmetic import require_device
from evaluator.extractors import Setting, build_extractors
from evaluator.inputs.check import EntryRefused, Finding, Picture
from evaluator.inputs.entry import LIMITS
from evaluator.inputs.images import BadPicture, inspect_png
from evaluator.memory import claim_buffers, keep_pages
from evaluator.metrics.aesthetic import GATE, Aesthetic
from evaluator.metrics.base import Seen
from evaluator.profiles import find_profile
from evaluator.scoring.cache import open_cache
from evaluator.scoring.scorer import Options
from evaluator.scoring.stopwatch import Stopwatch
from evaluator.scoring.viewer import Progress, Viewer
from evaluator.weights.folder import AESTHETIC, CLIP, doubts, open_weights

_STORY = "story"  # stands for the style that a story has not


def score_story(
    path: Path,
    contest: Contest,
    weights: Path,
    options: Options,
    progress: Progress = lambda stage, done, total: None,
) -> GateReport:
    """Score the pictures of a story in a folder or a zip: all but its sheet.

    EntryRefused for pictures that cannot be scored, with all of them; UserError where there are none, or no head.
    """
    import numpy as np

    require_device(options.device, options.precision)
    keep_pages()
    claim_buffers()
    story = contest.story
    sheet, gate = (None, GATE) if story is None else (story.sheet, story.aesthetic)
    with needs("eval"), open_contents(path, LIMITS) as listing:
        if listing.findings:
            raise UserError(f"{path}: {listing.findings[0]}; see all with: jdart-submit check {path}")
        wanted = [item for item in listing.items if item.kind == "file" and _is_picture(item.path, sheet)]
        pictures = _inspected(wanted)
        if not pictures:
            raise UserError(f"{path}: no pictures; give the folder or the zip that a story's pictures lie in")
        pack = open_weights(weights)
        metric, hashes = Aesthetic(pack), pack.hashes()
        setting = Setting(pack, hashes, find_profile(options.profile), options.device, options.precision)
        readers = build_extractors([metric.extractor], setting)
        viewer = Viewer(readers, open_cache(options.cache), options.batch_size, Stopwatch())
        look = viewer.look(pictures, {}, True, progress)
        if look.findings:
            raise EntryRefused([replace(one, where=one.where.partition("/")[2]) for one in look.findings])
        notes = np.stack([look.notes[metric.extractor][picture] for picture in pictures])
        figures = metric.figures({_STORY: Seen([picture.name for picture in pictures], notes, {})}, {})
        values = {name: row[metric.key] for name, row in figures.images[_STORY].items()}
    assert figures.total is not None
    reasons = doubts(pack, hashes)
    if options.precision != "float32":
        reasons.append(f"calculated in {options.precision}")
    return GateReport(
        mean=figures.total,
        pictures={picture.name: Scored(values[picture.name], picture.sha256) for picture in pictures},
        gate=gate,
        reasons=reasons,
        weights={name: digest for name, digest in hashes.items() if name == AESTHETIC or name.startswith(f"{CLIP}/")},
        tool=f"jdart-eval {metadata.version('jdart')}",
    )


def _is_picture(path: str, sheet: str | None) -> bool:
    name = path.rsplit("/", 1)[-1]
    return name.lower().endswith(PICTURE_ENDINGS) and name != sheet and not is_system(path)


def _inspected(items: list[Item]) -> list[Picture]:
    """Each picture with its size, whatever the others' is. EntryRefused with all that are none."""
    pictures, findings = [], []
    for item in items:
        try:
            data = _reader(item)()
            pictures.append(
                Picture(_STORY, item.path, _reader(item), inspect_png(data), hashlib.sha256(data).hexdigest())
            )
        except BadPicture as problem:
            findings.append(Finding(problem.code, item.path, str(problem)))
    if findings:
        raise EntryRefused(findings)
    return pictures


def _reader(item: Item) -> Callable[[], bytes]:
    def read() -> bytes:
        try:
            return item.read()
        except BadItem as problem:
            raise BadPicture("unreadable", str(problem)) from problem

    return read
