"""From an entry on disk to a report: open, check, show every picture once, put the figures together."""

from __future__ import annotations

import math
import os
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from evaluator.check import (
    INCOMPLETE,
    EntryRefused,
    Finding,
    Picture,
    check_as_is,
    check_enough,
    check_entry,
    check_references,
)
from evaluator.entry import Entry, fingerprint, open_entry
from evaluator.output import Thumbnails, report_folder, write_report
from evaluator.profiles import find_profile
from evaluator.references import list_styles, read_style
from evaluator.report import ImageScores, Pictures, Provenance, Report, StyleScores
from evaluator.score import metrics_to_scores
from evaluator.viewing import Progress, Stopwatch, build_metrics, view
from evaluator.weights import doubts, open_weights
from submission.errors import UserError, needs

if TYPE_CHECKING:
    from evaluator.metrics.base import Figures

PathLike = Union[str, "os.PathLike[str]"]

_LIBRARIES = ("torch", "numpy", "pillow", "tokenizers", "safetensors", "lpips")


def score_submission(
    path: PathLike,
    *,
    references: PathLike | None = None,
    weights: PathLike | None = None,
    profile: str = "official-2024",
    styles: Sequence[str] | None = None,
    as_is: bool = False,
    device: str = "cpu",
    out: PathLike | None = None,
    write: bool = True,
    batch_size: int | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> Report:
    """Score a folder of style folders, a run folder or a zip, and write its report folder.

    `references` and `weights` default to what a run folder's run.json names, `styles` to those it (or a
    zip's manifest) declares, else to all of the references', `out` to the place the file layout gives it
    (nothing is written with `write=False`). `as_is` scores whatever pictures are there, as the organisers'
    checker does. `batch_size` bounds the pictures per forward pass; it does not change the figures.

    Raises EntryRefused with every finding when the entry cannot be scored, UserError for misuse.
    """
    started = time.perf_counter()
    watch, thumbnails = Stopwatch(), Thumbnails()
    chosen = find_profile(profile)
    with needs("eval"), open_entry(Path(path)) as entry:
        folder, root = _places(references, weights, entry)
        pack = open_weights(root)
        known = list_styles(folder)
        scored = _choose(styles, entry.styles, known, folder)
        place = report_folder(entry, out) if write else None
        given = {style: read_style(folder / style) for style in scored}
        real = check_references(given)
        if not any(style in entry.files for style in scored):
            raise UserError(f"{path}: holds none of the style folders {', '.join(scored)}")
        pictures, findings = check_entry(entry.files, given)
        incomplete = [finding for finding in findings if finding.code in INCOMPLETE]
        if as_is:
            findings = [finding for finding in findings if finding not in incomplete]
            findings += check_as_is(entry.files, pictures)
        if not findings:
            findings = check_enough(pictures)
        if findings:
            raise EntryRefused(findings)

        with _exact_arithmetic(device):
            metrics = build_metrics(chosen, pack, device, pictures, watch, progress)
            figures = view(metrics, real, pictures, thumbnails, batch_size, watch, progress)
        with watch.of("hashes"):
            hashes = pack.hashes()
        reasons = doubts(pack, hashes)
        if len(scored) < len(known):
            reasons.append(f"{len(scored)} of the references' {len(known)} styles were scored")
        if incomplete:
            reasons.append(f"the entry is not complete ({_summary(incomplete)})")
        watch.seconds["total"] = time.perf_counter() - started
        report = Report(
            profile=chosen.name,
            contest=_folder_name(folder) if entry.contest is None else entry.contest,
            submission=_set_of(entry.name, pictures),
            provenance=Provenance(
                tool=f"jdart-eval {metadata.version('jdart')}",
                references=_set_of(_folder_name(folder), real),
                styles=list(scored),
                as_is=as_is,
                complete=not incomplete,
                comparable=not reasons,
                not_comparable_because=reasons,
                weights=hashes,
                versions={"python": platform.python_version()} | {n: metadata.version(n) for n in _LIBRARIES},
                device=device,
                seconds={name: round(seconds, 3) for name, seconds in watch.seconds.items()},
            ),
            **_tables(figures, {style: len(found) for style, found in pictures.items()}),
        )
    if place is not None:
        write_report(place, report, thumbnails)
    return report


def _tables(figures: Mapping[str, Figures], counts: Mapping[str, int]) -> dict[str, Any]:
    """scores, styles and images of a Report. Raises UserError when a figure is not finite."""
    styles: dict[str, dict[str, Any]] = {style: {"images": count} for style, count in counts.items()}
    images: dict[str, dict[str, dict[str, Any]]] = {style: {} for style in counts}
    for metric in figures.values():
        for style, values in metric.styles.items():
            styles[style].update(values)
        for style, table in metric.images.items():
            for name, values in table.items():
                images[style].setdefault(name, {}).update(values)
    rows = [values for table in images.values() for values in table.values()]
    broken = [key for key, metric in figures.items() if not math.isfinite(metric.total)]
    broken += [
        key for row in rows for key, value in row.items() if isinstance(value, float) and not math.isfinite(value)
    ]
    if broken:
        names = ", ".join(sorted(set(broken)))
        raise UserError(f"{names}: not a finite number; the weights are damaged, fetch them again")
    return {
        "scores": metrics_to_scores(**{key: metric.total for key, metric in figures.items()}),
        "styles": {style: StyleScores(**values) for style, values in styles.items()},
        "images": {
            style: {name: ImageScores(**values) for name, values in sorted(table.items())}
            for style, table in images.items()
        },
    }


@contextmanager
def _exact_arithmetic(device: str) -> Iterator[None]:
    """Check the device, and on CUDA keep TF32 out of convolutions and products while the block runs."""
    import torch

    if device not in ("cpu", "cuda"):
        raise UserError(f"device {device!r} is not known; choose cpu or cuda")
    if device == "cpu":
        yield
        return
    if not torch.cuda.is_available():
        raise UserError("no CUDA device was found; use --device cpu")
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(precision)


def _places(references: PathLike | None, weights: PathLike | None, entry: Entry) -> tuple[Path, Path]:
    """The folders of references and weights: as given, else as the run folder names them."""
    folders = (
        entry.references if references is None else Path(references),
        entry.weights if weights is None else Path(weights),
    )
    missing = [f"--{name} DIR" for name, folder in zip(("references", "weights"), folders) if folder is None]
    if missing:
        raise UserError(f"{' and '.join(missing)} needed: nothing in the submission names a folder for it")
    return folders  # type: ignore[return-value]


def _choose(
    wanted: Sequence[str] | None, declared: Sequence[str] | None, known: Sequence[str], folder: Path
) -> tuple[str, ...]:
    if wanted is None:
        wanted = known if declared is None else declared
    unknown = [style for style in wanted if style not in known]
    if unknown:
        raise UserError(
            f"{folder}: style {', '.join(unknown)} is not among the references; there are {', '.join(known)}"
        )
    if not wanted:
        raise UserError(f"no style was chosen; there are {', '.join(known)}")
    return tuple(sorted(set(wanted)))


def _set_of(name: str, pictures: Mapping[str, Sequence[Picture]]) -> Pictures:
    digests = {(picture.style, picture.name): picture.sha256 for found in pictures.values() for picture in found}
    return Pictures(name, fingerprint(digests))


def _summary(findings: Sequence[Finding]) -> str:
    more = f" and {len(findings) - 1} more" if len(findings) > 1 else ""
    return f"{findings[0]}{more}"


def _folder_name(folder: Path) -> str:
    return folder.resolve().name
