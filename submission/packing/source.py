"""What PATH on the command line is (a run, a folder of style folders, a zip), and which contest it is for."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from contest.definition import Contest
from contest.disk.files import read_json
from contest.disk.shipped import place_in_run
from contest.entry.contents import open_contents
from contest.errors import UserError
from contest.reading import contest_from_references, load_contest, shipped_contests
from contest.typed import from_json
from submission.packing.manifest import Manifest, Run, usable_manifest

RUN = "run.json"


@dataclass(frozen=True)
class Source:
    """`pictures` is the archive or the folder of style folders; `run` is how it was made, or None.

    `contest` and `styles` are what run.json or the manifest names. `folder`, `references` and `rules`, the file of a
    contest that does not come along, only a run folder has, `manifest` only an archive or a folder unpacked from one.
    """

    pictures: Path
    run: Run | None = None
    contest: str | None = None
    styles: tuple[str, ...] | None = None
    folder: Path | None = None
    references: Path | None = None
    rules: Path | None = None
    manifest: Manifest | None = None


def open_source(path: str | os.PathLike[str]) -> Source:
    """Look at PATH. UserError: no such path, neither a folder nor a zip, or a run.json that is not one."""
    path = Path(path)
    if (path / RUN).is_file():
        return _from_run(path)
    with open_contents(path) as listing:
        manifest = usable_manifest(listing.items)
    if manifest is None:
        return Source(path)
    styles = tuple(manifest.contest.styles) if manifest.contest.styles else None  # a story has none
    return Source(path, manifest.run, manifest.contest.name, styles, manifest=manifest)


def choose_contest(
    source: Source,
    contest: str | None = None,
    references: str | os.PathLike[str] | None = None,
    styles: Iterable[str] | None = None,
) -> Contest:
    """The contest to check against: as asked for, else what the source names. UserError when neither says.

    `references` alone says everything; beside a contest it gives the prompts that come with the references.
    `styles` picks some of its styles. Without it, a contest that is asked for is meant whole, and one that
    the source names is meant for the styles that it says it has.
    """
    if contest is not None:
        found = load_contest(contest)
    elif references is not None:
        found = contest_from_references(references, source.contest)
    elif source.contest in shipped_contests():
        found = load_contest(source.contest)
    elif source.rules is not None and source.rules.is_file():
        found = load_contest(source.rules)
    elif source.references is not None:
        found = contest_from_references(source.references, source.contest)
    else:
        raise UserError(
            f"{source.pictures}: which contest is it for? give --references DIR, "
            f"or --contest with a .yaml file or one of {', '.join(shipped_contests())}"
        )
    folder = source.references if references is None else references
    if found.prompts is not None:
        if folder is None:
            raise UserError(f"contest {found.name}: its prompts come with the references; give --references DIR, too")
        found = found.with_prompts(contest_from_references(folder).styles)
    if styles is None and contest is None and references is None and found.story is None:
        styles = source.styles
    return found if styles is None else found.subset(styles)


@dataclass(frozen=True)
class _Local:
    """The part of run.json that is true on one machine only."""

    references: Optional[str] = None
    rules: Optional[str] = None


def _from_run(folder: Path) -> Source:
    path = folder / RUN
    data = read_json(path)
    if not isinstance(data, dict) or data.get("schema_version") != 1:
        raise UserError(f"{path}: not a run of schema_version 1; give --contest and the images folder instead")
    try:
        run = from_json(Run, data, "run")
        local = from_json(_Local, data.get("local", {}), "local")
    except ValueError as error:
        raise UserError(f"{path}: {error}; correct it, or give --contest and the images folder instead") from error
    named = (local.references, local.rules)
    references, rules = (None if place is None else place_in_run(folder, place) for place in named)
    return Source(
        folder / run.images,
        run,
        run.contest,
        None if run.styles is None else tuple(run.styles),
        folder,
        references,
        rules,
    )
