"""What PATH on the command line is (a run, a folder of style folders, a zip), and which contest it is for."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from submission.contents import open_contents
from submission.contest import Contest, contest_from_references, load_contest, shipped_contests
from submission.errors import UserError
from submission.files import read_json
from submission.manifest import find_manifest

RUN = "run.json"


@dataclass(frozen=True)
class Source:
    """`pictures` is the archive or the folder of style folders; `run` is how it was made, or None.

    `contest` and `styles` are what run.json or the manifest names; `references` only a run folder knows.
    """

    pictures: Path
    run: dict[str, Any] | None = None
    contest: str | None = None
    styles: tuple[str, ...] | None = None
    references: Path | None = None


def open_source(path: str | os.PathLike[str]) -> Source:
    """Look at PATH. UserError: no such path, a broken archive, or a run.json or manifest that is not one."""
    path = Path(path)
    if (path / RUN).is_file():
        return _from_run(path)
    with open_contents(path) as items:
        try:
            manifest = find_manifest(items)
        except ValueError:
            manifest = None  # a finding for verify; check and build do not depend on it
    if manifest is None:
        return Source(path)
    run, contest = manifest.get("run"), manifest.get("contest")
    name, styles = (contest.get("name"), contest.get("styles")) if isinstance(contest, dict) else (None, None)
    return Source(
        path,
        run if isinstance(run, dict) else None,
        name if isinstance(name, str) else None,
        tuple(styles) if isinstance(styles, dict) else None,
    )


def choose_contest(
    source: Source,
    contest: str | None = None,
    references: str | os.PathLike[str] | None = None,
    styles: Iterable[str] | None = None,
) -> Contest:
    """The contest to check against: as asked for, else what the source names. UserError when neither says.

    `styles` picks some of its styles. Without it, a contest that is asked for is meant whole, and one that
    the source names is meant for the styles that it says it has.
    """
    if contest is not None and references is not None:
        raise UserError("give --contest or --references, not both")
    if contest is not None:
        found = load_contest(contest)
    elif references is not None:
        found = contest_from_references(references, source.contest)
    elif source.contest in shipped_contests():
        found = load_contest(source.contest)
    elif source.references is not None:
        found = contest_from_references(source.references, source.contest)
    else:
        raise UserError(
            f"{source.pictures}: which contest is it for? give --references DIR, "
            f"or --contest with a .yaml file or one of {', '.join(shipped_contests())}"
        )
    if styles is None and contest is None and references is None:
        styles = source.styles
    return found if styles is None else found.subset(styles)


def _from_run(folder: Path) -> Source:
    path = folder / RUN
    run = read_json(path)
    if not isinstance(run, dict) or run.get("schema_version") != 1:
        raise UserError(f"{path}: not a run of schema_version 1; give --contest and the images folder instead")
    images, contest, styles = run.get("images", "images"), run.get("contest"), run.get("styles")
    local = run.get("local", {})
    references = local.get("references") if isinstance(local, dict) else None
    problems = [
        f"{key} must be {what}"
        for key, value, what, good in (
            ("images", images, "a folder's name", isinstance(images, str)),
            ("contest", contest, "text", contest is None or isinstance(contest, str)),
            ("styles", styles, "a list of text", styles is None or _is_text_list(styles)),
            ("local.references", references, "a folder", references is None or isinstance(references, str)),
        )
        if not good
    ]
    if problems:
        raise UserError(f"{path}: {'; '.join(problems)}")
    return Source(
        folder / images,
        run,
        contest,
        None if styles is None else tuple(styles),
        None if references is None else folder / references,
    )


def _is_text_list(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)
