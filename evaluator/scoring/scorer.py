"""From an entry on disk to a report: open, check, look at every picture once, put the figures together."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Union

import numpy as np

from contest.disk.files import fingerprint
from contest.errors import UserError, needs
from contest.reading import shipped_contests
from evaluator.analysis.bootstrap import intervals
from evaluator.analysis.cells import cells_of
from evaluator.arithmetic import require_device
from evaluator.extractors import Setting, build_extractors
from evaluator.inputs.check import INCOMPLETE, EntryRefused, Finding, Picture, check_as_is, check_enough, check_entry
from evaluator.inputs.entry import Entry, open_entry
from evaluator.inputs.references import References
from evaluator.inputs.refpack import open_references
from evaluator.inputs.wrapped import without_styles
from evaluator.memory import claim_buffers, keep_pages
from evaluator.metrics import COMPANIONS, EXTRAS, OFFICIAL
from evaluator.metrics.base import Figures, Metric, Seen
from evaluator.metrics.fid import features_to_moments
from evaluator.profiles import find_profile
from evaluator.reporting.output import Attachments, report_folder, write_report
from evaluator.reporting.report import Pictures, Provenance, Report
from evaluator.scoring.assemble import (
    figures_to_corrected,
    figures_to_extras,
    figures_to_images,
    figures_to_scores,
    figures_to_styles,
)
from evaluator.scoring.bounds import find_bounds
from evaluator.scoring.cache import open_cache
from evaluator.scoring.stopwatch import Stopwatch
from evaluator.scoring.viewer import Kept, Look, Progress, Viewer
from evaluator.weights.folder import AESTHETIC, doubts, open_weights

PathLike = Union[str, "os.PathLike[str]"]
Chosen = dict[str, list[Picture]]  # style -> its pictures

_LIBRARIES = ("torch", "numpy", "pillow", "tokenizers", "lpips")


@dataclass(frozen=True)
class Options:
    """How to score; the same for every entry of a batch.

    `extras` are names of metrics.EXTRAS; `cache` is the folder of the feature cache, True for the user's own,
    False for none; `batch_size` bounds the pictures per forward pass and does not change the figures. Figures of
    `precision` float16 are for a quick look and never comparable.
    """

    profile: str = "official-2024"
    extras: tuple[str, ...] = ()
    device: str = "cpu"
    precision: str = "float32"
    cache: PathLike | bool = True
    batch_size: int | None = None


@dataclass(frozen=True)
class Admission:
    """What of an entry is to be scored: all its findings were dealt with. `styles` were chosen, `skipped` left out."""

    styles: tuple[str, ...]
    pictures: Chosen
    incomplete: list[Finding]
    skipped: list[Finding]

    @property
    def sha256(self) -> str:
        """Which pictures these are."""
        return fingerprint({(p.style, p.name): p.sha256 for found in self.pictures.values() for p in found})

    @property
    def post_processed(self) -> int | None:
        """How many pictures say of themselves that they were; None for none."""
        changed = sum(p.post_processed for found in self.pictures.values() for p in found)
        return None if changed == 0 else changed


def score_submission(
    path: PathLike,
    *,
    references: PathLike | None = None,
    weights: PathLike | None = None,
    contest: PathLike | None = None,
    profile: str = "official-2024",
    styles: Sequence[str] | None = None,
    as_is: bool = False,
    skip_bad: bool = False,
    extras: Sequence[str] = (),
    device: str = "cpu",
    precision: str = "float32",
    cache: PathLike | bool = True,
    out: PathLike | None = None,
    write: bool = True,
    batch_size: int | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> Report:
    """Score a folder of style folders, a run folder or a zip, and write its report folder.

    `references` (a folder or a pack) and `weights` default to what a run folder's run.json names, `styles` to those
    it (or a zip's manifest) declares, else to all of the references', `out` to the place the file layout gives
    it (nothing is written with `write=False`). `as_is` scores whatever pictures are there, as the organisers'
    checker does; `skip_bad` leaves out those that cannot be scored. `contest`, a shipped one or a file, has the prompts
    of references without a prompt.json; by default it is the one that run.json or the manifest names. The rest is as in
    `Options`.

    Raises EntryRefused with every finding when the entry cannot be scored, UserError for misuse.
    """
    options = Options(profile, tuple(extras), device, precision, cache, batch_size)
    with needs("eval"), open_entry(Path(path)) as entry:
        place = report_folder(entry, out) if write else None
        folder, root = _places(references, weights, entry)
        known = open_references(folder, _rules(entry) if contest is None else contest)
        scorer = Scorer(known, root, options, progress, lean=device == "cpu")
        report, attachments = scorer.score(entry, scorer.admit(entry, styles, as_is, skip_bad), as_is, skip_bad)
    if place is not None:
        write_report(place, report, attachments)
    return report


class Scorer:
    """One set of weights and references, and any number of entries: networks are loaded once, and only when needed.

    A `lean` one, for a single entry, holds the largest network when it has let go of the others.

    Raises UserError for weights or options that cannot be used, and for too low a limit of memory.
    """

    def __init__(
        self,
        references: References,
        weights: Path,
        options: Options,
        progress: Progress = lambda stage, done, total: None,
        lean: bool = False,
    ) -> None:
        keep_pages()
        claim_buffers()
        self.options = options
        self._lean = lean
        self.references = references
        self.tool = f"jdart-eval {metadata.version('jdart')}"
        self.watch = Stopwatch()
        self._progress = progress
        require_device(options.device, options.precision)
        unknown = [extra for extra in options.extras if extra not in EXTRAS]
        if unknown:
            raise UserError(f"extra {unknown[0]!r} is not known; choose from: {', '.join(EXTRAS)}")
        profile, pack = find_profile(options.profile), open_weights(weights)
        kinds = [*OFFICIAL, *COMPANIONS, *(kind for extra in dict.fromkeys(options.extras) for kind in EXTRAS[extra])]
        self._metrics: list[Metric] = [kind(pack) for kind in kinds]
        with self.watch.of("hashes"):
            everything = pack.hashes()
        self.doubts = doubts(pack, everything)
        self.hashes = {
            name: digest for name, digest in everything.items() if name != AESTHETIC or "aesthetic" in options.extras
        }
        self.extra_keys = {kind.key for kind in kinds[len(OFFICIAL) :]}
        self._setting = Setting(pack, everything, profile, options.device, options.precision)
        self._cache = open_cache(options.cache)
        self._found: dict[str, dict[str, float]] = {}  # bounds by style
        self.viewer = self.viewer_of(metric.extractor for metric in self._metrics)

    def viewer_of(self, extractors: Iterable[str]) -> Viewer:
        """A viewer with the extractors of these names, on the same weights and the same cache."""
        readers = build_extractors(extractors, self._setting)
        return Viewer(readers, self._cache, self.options.batch_size, self.watch, self._lean)

    def against(self, references: References) -> Scorer:
        """One that scores against other references, with the same networks and the same cache."""
        other = copy(self)
        other.references = references
        return other

    def admit(
        self, entry: Entry, styles: Sequence[str] | None = None, as_is: bool = False, skip_bad: bool = False
    ) -> Admission:
        """Choose the entry's styles and check its files. Raises EntryRefused with every finding, UserError."""
        chosen = _choose(styles, entry.styles, self.references)
        self.references.digests(chosen)
        if not any(style in entry.files for style in chosen):
            raise UserError(f"{entry.name}: {without_styles(entry, chosen)}")
        pictures, findings = check_entry(entry.files, self.references.prompts(chosen))
        incomplete = [finding for finding in findings if finding.code in INCOMPLETE]
        if as_is:
            findings = [finding for finding in findings if finding not in incomplete]
            findings += check_as_is(entry.files, pictures)
        if findings and not skip_bad:
            raise EntryRefused(findings)
        return _without(Admission(chosen, pictures, incomplete, []), findings)

    def score(
        self, entry: Entry, admission: Admission, as_is: bool = False, skip_bad: bool = False
    ) -> tuple[Report, Attachments]:
        """The report of an open entry, and the files that go with it. Raises EntryRefused and UserError."""
        with self.watch.of("total"):
            if self._lean:  # later the networks would be loaded anew for the texts, beside the largest one
                names = [picture.name for found in admission.pictures.values() for picture in found]
                for metric in self._metrics:
                    self.viewer.texts(metric.extractor, metric.texts(names))
            kept = self.references.keep(list(admission.pictures), self.viewer, self._progress)
            flat = [picture for found in admission.pictures.values() for picture in found]
            look = self.viewer.look(flat, kept, not skip_bad, self._progress)
            if look.findings and not skip_bad:
                raise EntryRefused(look.findings)
            admission = _without(admission, look.findings)
            figures = self._figures(admission.pictures, look, kept)
            attachments = self._attachments(admission.pictures, look, kept)
        report = self._report(entry, admission, as_is, figures)
        moments = (attachments.real_mean, attachments.real_covariance)
        return replace(report, intervals=intervals(cells_of(report, attachments.stems, moments))), attachments

    def look(self, admission: Admission) -> None:
        """Take the notes of admitted pictures into the cache, from where a later score has them."""
        kept = self.references.keep(list(admission.pictures), self.viewer, self._progress)
        flat = [picture for found in admission.pictures.values() for picture in found]
        self.viewer.look(flat, kept, False, self._progress)

    def figures(
        self, pictures: Chosen, keys: Sequence[str], extractors: Sequence[str] = ()
    ) -> tuple[dict[str, Figures], Look]:
        """What the metrics `keys` say of pictures that need be no whole entry, and what was seen, by `extractors` too.

        Each style's pictures have names of their own. Raises EntryRefused for those that cannot be decoded.
        """
        metrics = [metric for metric in self._metrics if metric.key in keys]
        kept = self.references.keep(list(pictures), self.viewer, self._progress)
        flat = [picture for found in pictures.values() for picture in found]
        viewer = self.viewer.only([*(metric.extractor for metric in metrics), *extractors])
        look = viewer.look(flat, kept, True, lambda stage, done, total: None)
        if look.findings:
            raise EntryRefused(look.findings)
        return self._figures(pictures, look, kept, metrics), look

    def references_sha256(self, styles: Sequence[str]) -> str:
        """Which reference pictures the styles have."""
        return fingerprint(self.references.digests(styles))

    def _figures(
        self, pictures: Chosen, look: Look, kept: Kept, metrics: Sequence[Metric] | None = None
    ) -> dict[str, Figures]:
        names = [picture.name for found in pictures.values() for picture in found]
        figures = {}
        for metric in self._metrics if metrics is None else metrics:
            notes, references = look.notes[metric.extractor], kept.get(metric.extractor, {})
            seen = {
                style: Seen(
                    [picture.name for picture in found],
                    np.stack([notes[picture] for picture in found]),
                    references.get(style, {}),
                )
                for style, found in pictures.items()
            }
            figures[metric.key] = metric.figures(seen, self.viewer.texts(metric.extractor, metric.texts(names)))
        return figures

    def _attachments(self, pictures: Chosen, look: Look, kept: Kept) -> Attachments:
        flat = [picture for found in pictures.values() for picture in found]
        real = features_to_moments(np.concatenate([kept["inception"][style]["features"] for style in pictures]))
        return Attachments(
            outputs={picture.where[: -len(".png")]: look.thumbnails[picture] for picture in flat},
            references=self.references.thumbnails(list(pictures)),
            stems=np.stack([look.notes["inception"][picture] for picture in flat]),
            real_mean=real[0],
            real_covariance=real[1],
            bounds=self._bounds(list(pictures), kept),
        )

    def _bounds(self, styles: Sequence[str], kept: Kept) -> dict[str, dict[str, float]]:
        """Those of the styles, found once: the references stay the same from entry to entry."""
        missing = [style for style in styles if style not in self._found]
        self._found |= find_bounds(self._metrics, self.viewer.extractors, kept, missing, self._cache)
        return {style: self._found[style] for style in styles}

    def _report(self, entry: Entry, admission: Admission, as_is: bool, figures: Mapping[str, Figures]) -> Report:
        pictures, styles, reasons = admission.pictures, admission.styles, list(self.doubts)
        if len(styles) < len(self.references.styles):
            reasons.append(f"{len(styles)} of the references' {len(self.references.styles)} styles were scored")
        if admission.incomplete:
            reasons.append(f"the entry is not complete ({_summary(admission.incomplete)})")
        if admission.skipped:
            reasons.append(f"what could not be scored was left out ({_summary(admission.skipped)})")
        if self.options.precision != "float32":
            reasons.append(f"calculated in {self.options.precision}")
        return Report(
            profile=self.options.profile,
            contest=self.references.name if entry.contest is None else entry.contest,
            submission=Pictures(entry.name, admission.sha256),
            scores=figures_to_scores(figures),
            intervals={},
            styles=figures_to_styles(figures, {style: len(found) for style, found in pictures.items()}),
            images=figures_to_images(figures),
            extras=figures_to_extras(figures, self._metrics),
            corrected=figures_to_corrected(figures),
            provenance=Provenance(
                tool=self.tool,
                references=Pictures(self.references.name, self.references_sha256(styles)),
                styles=list(pictures),
                as_is=as_is,
                complete=not admission.incomplete and not admission.skipped,
                skipped=[str(finding) for finding in admission.skipped],
                comparable=not reasons,
                not_comparable_because=reasons,
                weights=self.hashes,
                versions={"python": platform.python_version()} | {n: metadata.version(n) for n in _LIBRARIES},
                device=self.options.device,
                precision=self.options.precision,
                seconds=self.watch.lap(),
                post_processed=admission.post_processed,
            ),
        )


def _without(admission: Admission, findings: Sequence[Finding]) -> Admission:
    """The admission without the pictures that findings are about. Raises EntryRefused where too little is left."""
    bad = {finding.where for finding in findings}
    left = {
        style: [picture for picture in found if picture.where not in bad] for style, found in admission.pictures.items()
    }
    pictures = {style: found for style, found in left.items() if found}
    skipped = [*admission.skipped, *findings]
    problems = check_enough(pictures)
    if problems:
        raise EntryRefused([*skipped, *problems])
    return replace(admission, pictures=pictures, skipped=skipped)


def _places(references: PathLike | None, weights: PathLike | None, entry: Entry) -> tuple[Path, Path]:
    """Where references and weights are: as given, else as the run folder names them."""
    places = (
        entry.references if references is None else Path(references),
        entry.weights if weights is None else Path(weights),
    )
    missing = [f"--{name} PATH" for name, place in zip(("references", "weights"), places) if place is None]
    if missing:
        raise UserError(f"{' and '.join(missing)} needed: nothing in the submission names a place for it")
    return places  # type: ignore[return-value]


def _rules(entry: Entry) -> PathLike | None:
    """The contest that an entry says it is for, where its file is there: its run's own, or one that comes along."""
    if entry.contest in shipped_contests():
        return entry.contest
    return entry.rules if entry.rules is not None and entry.rules.is_file() else None


def _choose(wanted: Sequence[str] | None, declared: Sequence[str] | None, references: References) -> tuple[str, ...]:
    known = references.styles
    if wanted is None:
        wanted = known if declared is None else declared
    unknown = [style for style in wanted if style not in known]
    if unknown:
        raise UserError(
            f"{references.name}: style {', '.join(unknown)} is not among the references; there are {', '.join(known)}"
        )
    if not wanted:
        raise UserError(f"no style was chosen; there are {', '.join(known)}")
    return tuple(sorted(set(wanted)))


def _summary(findings: Sequence[Finding]) -> str:
    more = f" and {len(findings) - 1} more" if len(findings) > 1 else ""
    return f"{findings[0]}{more}"
