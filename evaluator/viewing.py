"""Showing pictures to metrics: every picture is decoded once and every network sees it once."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from evaluator.check import EntryRefused, Finding, Picture
from evaluator.images import BadPicture, decode
from evaluator.metrics.base import Batch, Figures, Metric
from evaluator.output import Thumbnails
from evaluator.profiles import Profile
from evaluator.weights import Weights
from submission.errors import UserError

Progress = Callable[[str, int, int], None]  # stage ("weights" or "pictures"), done, of how many

BATCH_PIXELS = 8 * 512 * 512  # pictures are taken together up to this many pixels, which bounds memory


class Stopwatch:
    """Seconds spent per name, added up."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Count the block's time towards `name`."""
        start = time.perf_counter()
        yield
        self.seconds[name] += time.perf_counter() - start


def build_metrics(
    profile: Profile,
    weights: Weights,
    device: str,
    pictures: Mapping[str, Sequence[Picture]],
    watch: Stopwatch,
    progress: Progress,
) -> list[Metric]:
    """Load every network of the profile. Raises UserError for weights that do not fit."""
    names = [picture.name for found in pictures.values() for picture in found]
    metrics = []
    for done, make in enumerate(profile.metrics):
        progress("weights", done, len(profile.metrics))
        with watch.of("weights"):
            metrics.append(make(weights, device, names))
    progress("weights", len(profile.metrics), len(profile.metrics))
    return metrics


def view(
    metrics: Sequence[Metric],
    references: Mapping[str, Sequence[Picture]],
    outputs: Mapping[str, Sequence[Picture]],
    thumbnails: Thumbnails,
    batch_size: int | None,
    watch: Stopwatch,
    progress: Progress,
) -> dict[str, Figures]:
    """Style by style, the references and then the outputs; the figures of each metric by its key.

    Raises EntryRefused with every output that cannot be decoded although its file is intact, UserError for
    a reference.
    """
    total = sum(len(found) for table in (references, outputs) for found in table.values())
    findings: list[Finding] = []
    seen = 0
    for style in outputs:
        for role, pictures in (("references", references[style]), ("outputs", outputs[style])):
            for part in _parts(pictures, batch_size):
                progress("pictures", seen, total)
                seen += len(part)
                with watch.of("pictures"):
                    batch, problems = _decode(style, part)
                    thumbnails.add(role, batch)
                if problems and role == "references":
                    raise UserError("the references cannot be used: " + "; ".join(map(str, problems)))
                findings += problems
                # once there can be no score, the rest is only decoded, to find every problem
                for metric in metrics if not findings else ():
                    with watch.of(metric.key):
                        (metric.see_references if role == "references" else metric.see_outputs)(batch)
    progress("pictures", total, total)
    if findings:
        raise EntryRefused(findings)
    figures = {}
    for metric in metrics:
        with watch.of(metric.key):
            figures[metric.key] = metric.figures()
    return figures


def _parts(pictures: Sequence[Picture], batch_size: int | None) -> Iterator[Sequence[Picture]]:
    height, width = pictures[0].size  # all are of one size: check.py saw to it
    step = max(1, BATCH_PIXELS // (height * width)) if batch_size is None else batch_size
    for start in range(0, len(pictures), step):
        yield pictures[start : start + step]


def _decode(style: str, pictures: Sequence[Picture]) -> tuple[Batch, list[Finding]]:
    names, pixels, problems = [], [], []
    for picture in pictures:
        try:
            pixels.append(decode(picture.read()))
            names.append(picture.name)
        except BadPicture as problem:
            problems.append(Finding(problem.code, picture.where, str(problem)))
    return Batch(style, names, pixels), problems
