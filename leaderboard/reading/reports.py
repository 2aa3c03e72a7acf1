"""Read report.json as written by the evaluator, and trust nothing in it: entries come from strangers."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from contest.disk.files import read_json, sha256
from contest.errors import UserError
from leaderboard.metrics import SCORES, STYLE_SCORES
from leaderboard.reading.beside import unsaid
from leaderboard.reading.digests import Digests
from leaderboard.reading.found import Found, Source, find_pictures
from leaderboard.reading.meta import Meta, find_meta, read_meta
from leaderboard.reading.run import Losses, Run, load_run, read_run
from leaderboard.reading.stamps import run_folders
from leaderboard.reading.taker import NAME, Taker

__all__ = ["REPORT", "Meta", "Picture", "Report", "Run", "Whole", "read_report"]

SCHEMA_VERSION = 1
REPORT = "report.json"
_LARGEST = 64 << 20
_STYLES, _PICTURES = 500, 2000  # at most: of a report, of a style
_KEYS = tuple(metric.key for metric in STYLE_SCORES)
_PREVIEW = 3  # pictures beside an entry's name


class Picture(NamedTuple):
    """One scored output. `hit` says whether CLIP-R found the prompt, `rank` where, `top5` what it saw.

    `scores` are the picture's own metrics, by the keys of STYLE_SCORES, as far as the report has them.
    """

    file: str
    hit: bool | None
    rank: int | None
    top5: tuple[str, ...]
    scores: Mapping[str, float | None] = MappingProxyType({})

    @property
    def prompt(self) -> str:
        return _stem(self.file)


_stem = lru_cache(1 << 14)(lambda file: os.path.splitext(file)[0])  # the same nouns come again and again


class Whole(NamedTuple):
    """What only an entry's own pages show: pictures by style, those beside the report, and how they were made."""

    images: Mapping[str, tuple[Picture, ...]]
    found: Found
    run: Run | None


@dataclass(frozen=True)
class Report:
    """One validated report. Scores are finite numbers, or None where the evaluator could not give one.

    `counts` maps a style to how many pictures it has, `interval` is the 95 % interval of Final, `post_processed` how
    many pictures say that they were. `preview` are some pictures, `referenced` the styles with references, `beside`
    says whether there is a run and how many pictures lie beside the report, and `unsaid` has a line for what is there
    and not shown. `inputs` is a hash of everything that was read, and `whole` gives the rest of it.
    """

    path: Path
    digest: str
    name: str
    sha256: str | None
    contest: str
    profile: str
    scores: Mapping[str, float | None]
    styles: Mapping[str, Mapping[str, float | None]]
    counts: Mapping[str, int]
    references: str
    weights: Mapping[str, str]
    versions: Mapping[str, str]
    device: str
    complete: bool
    comparable: bool
    reasons: tuple[str, ...]
    interval: tuple[float, float] | None
    post_processed: int
    meta: Meta
    commit: str | None
    preview: tuple[Source, ...]
    referenced: tuple[str, ...]
    beside: tuple[bool, int]
    unsaid: tuple[str, ...]
    inputs: str
    whole: Callable[[], Whole] = field(repr=False, compare=False)

    @property
    def images(self) -> Mapping[str, tuple[Picture, ...]]:
        """Style -> its pictures."""
        return self.whole().images

    @property
    def found(self) -> Found:
        """The pictures beside the report."""
        return self.whole().found

    @property
    def run(self) -> Run | None:
        """How the entry was made."""
        return self.whole().run

    @cached_property
    def identity(self) -> str:
        """A hash of the report and of what its description says: entries that are equal in both are one."""
        return hashlib.sha256(repr((self.digest, self.name, self.meta)).encode("utf-8", "backslashreplace")).hexdigest()

    @property
    def references_id(self) -> str:
        """Short name of the references scored against: two contests may call themselves the same."""
        return self.references[:8]

    @cached_property
    def weights_id(self) -> str:
        """Short name of the set of weights; entries scored with different sets are never ranked together."""
        return hashlib.sha256(json.dumps(sorted(self.weights.items())).encode()).hexdigest()[:8]


def read_report(path: str | os.PathLike[str], digests: Digests | None = None) -> Report:
    """Read a report.json, a report folder, or a run folder with `report/`, and what lies beside it.

    UserError: there is none, or it is not what the evaluator writes; every problem is named, with the file.
    """
    digests = Digests() if digests is None else digests
    found = _find(Path(path))
    if found.is_file() and found.stat().st_size > _LARGEST:
        raise UserError(f"{found}: larger than {_LARGEST >> 20} MiB; not a report of jdart-eval")
    data = read_json(found)
    if not isinstance(data, dict) or data.get("schema_version") != SCHEMA_VERSION:
        raise UserError(f"{found}: not a report of schema_version {SCHEMA_VERSION}; score it again with jdart-eval")
    folders = run_folders(found)
    meta_file = find_meta(folders)
    run_folder, run_data = next(((one, read) for one in folders if (read := load_run(one)) is not None), (None, None))
    meta, name = read_meta(meta_file, {} if run_data is None else run_data)
    run = None if run_folder is None or run_data is None else read_run(run_folder, run_data)
    take = Taker()
    fields = _take(take, data)
    images = _images(take, data)
    names = _file_names(take, data, fields["styles"], images)
    take.require_good(found)
    pictures = find_pictures(found.parent, names, () if run is None else run.sheets, digests)
    digest = sha256(found)
    losses = run.losses.files if run is not None and isinstance(run.losses, Losses) else {}
    depends: list[object] = [digest, None if meta_file is None else digests.sha256(meta_file), pictures.inputs]
    depends += [] if run_folder is None else [digests.sha256(run_folder / "run.json")]
    depends += [(style, digests.sha256(file)) for style, file in losses.items()]
    if name is not None:
        fields["name"] = name
    whole = Whole(images, pictures, run)
    shown = len(pictures.outputs) + len(pictures.references) + len(pictures.sheets)
    return Report(
        path=found,
        digest=digest,
        counts={style: len(group) for style, group in images.items()},
        meta=meta,
        commit=None if run is None else run.commit,
        preview=_preview(images, pictures),
        referenced=tuple(pictures.references),
        beside=(run is not None, shown),
        unsaid=tuple(unsaid(found, sum(map(len, images.values())), len(pictures.outputs))),
        inputs=hashlib.sha256(repr(depends).encode("utf-8", "backslashreplace")).hexdigest(),
        whole=lambda: whole,
        **fields,
    )


def _take(take: Taker, data: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a Report that are in report.json."""
    submission, provenance = take.mapping(data, "submission"), take.mapping(data, "provenance")
    scores = take.mapping(data, "scores")
    complete, comparable = take.flag(provenance, "complete"), take.flag(provenance, "comparable")
    intervals = take.mapping(data, "intervals") if data.get("intervals") is not None else {}
    return {
        "name": take.text(submission, "name", NAME) or "unnamed",  # nothing visible is left of some names
        "sha256": take.text(submission, "sha256") if submission.get("sha256") is not None else None,
        "contest": take.text(data, "contest", NAME),
        "profile": take.text(data, "profile", NAME),
        "scores": {m.key: take.number(scores, m.key, needed=complete and comparable) for m in SCORES},
        "interval": take.interval(intervals, "final"),
        "styles": _styles(take, data),
        "references": take.text(take.mapping(provenance, "references"), "sha256"),
        "weights": take.texts(provenance, "weights"),
        "versions": take.texts(provenance, "versions"),
        "device": take.text(provenance, "device"),
        "post_processed": _post_processed(take, provenance),
        "complete": complete,
        "comparable": comparable,
        "reasons": take.lines(provenance, "not_comparable_because"),
    }


def _post_processed(take: Taker, provenance: Mapping[str, Any]) -> int:
    count = take.number(provenance, "post_processed")
    return 0 if count is None else max(0, int(count))


def _styles(take: Taker, data: Mapping[str, Any]) -> dict[str, dict[str, float | None]]:
    styles = take.mapping(data, "styles", _STYLES)
    return {
        take.file_name(style): {m.key: take.number(one, m.key) for m in STYLE_SCORES}
        for style in sorted(styles)
        for one in [take.mapping(styles, style)]
    }


def _images(take: Taker, data: Mapping[str, Any]) -> dict[str, tuple[Picture, ...]]:
    images = take.mapping(data, "images", _STYLES)
    return {
        take.file_name(style): tuple(_picture(take, group, file) for file in sorted(group))
        for style in sorted(images)
        for group in [take.mapping(images, style, _PICTURES)]
    }


def _picture(take: Taker, group: Mapping[str, Any], file: str) -> Picture:
    one = take.mapping(group, file)
    rank = take.number(one, "clip_r_rank")
    return Picture(
        file=take.file_name(file),
        hit=take.flag(one, "clip_r_correct") if one.get("clip_r_correct") is not None else None,
        rank=None if rank is None else int(rank),
        top5=take.lines(one, "clip_r_top5", NAME, 20) if one.get("clip_r_top5") is not None else (),
        scores=take.numbers(one, _KEYS),
    )


def _preview(images: Mapping[str, Sequence[Picture]], found: Found) -> tuple[Source, ...]:
    """Some outputs, taken from as many styles as there are."""
    deepest = max(map(len, images.values()), default=0)
    places = ((style, group[i].file) for i in range(deepest) for style, group in images.items() if i < len(group))
    return tuple(islice((found.outputs[place] for place in places if place in found.outputs), _PREVIEW))


def _file_names(
    take: Taker,
    data: Mapping[str, Any],
    styles: Mapping[str, object],
    images: Mapping[str, tuple[Picture, ...]],
) -> dict[tuple[str, str], dict[str, str]]:
    """(folder, name) of each style -> file on disk -> file as on the pages, where names may be without some letters.

    Names of which two look the same there are a problem.
    """
    groups = data.get("images")
    if take.problems or not isinstance(groups, dict):
        return {}
    if len(images) < len(groups) or len(styles) < len(data["styles"]):
        take.problems.append("two styles have names that look the same")
        return {}
    found = {}
    for (style, pictures), folder in zip(images.items(), sorted(groups)):
        if len({picture.file for picture in pictures}) < len(pictures):
            take.problems.append(f"two pictures of style {style} have names that look the same")
        files = zip(sorted(groups[folder]), (picture.file for picture in pictures))
        found[folder, style] = dict(files)
    return found


def _find(path: Path) -> Path:
    if not path.is_dir():
        return path
    for found in (path / REPORT, path / "report" / REPORT):
        if found.is_file():
            return found
    raise UserError(f"{path}: no {REPORT} in it or in report/; make one with: jdart-eval")
