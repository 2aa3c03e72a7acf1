"""What passed the filters as a folder of its own: the pictures, metadata.csv beside them, and a report of all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from contest.disk.files import copy_file, sha256, write_bytes
from contest.disk.spreadsheet import MARK, to_plain_csv
from contest.errors import UserError
from jdart.data.captions import TABLES
from jdart.data.layout import picture_folder
from jdart.data.report import PictureRow, StyleRows

COLUMNS = ("style", "file", "width", "height", "aspect", "learnt", "why not", "caption")


def keep_learnt(folder: Path, references: Path, layout: str, found: Sequence[StyleRows]) -> str:
    """Copy the pictures that are learnt to `folder`, which lies as the references do; returns what was done in a line.

    metadata.csv has the columns file_name and text, UTF-8 with a mark, so that data.captions: csv reads it; beside
    `folder` lies a report of all pictures. UserError where a style has nothing to keep, and where `folder` holds other
    files of these names: nothing is replaced.
    """
    if folder.resolve() == references.resolve():
        raise UserError(f"{folder}: the references themselves; name another folder")
    problems = [f"style {own.style}: {own.problem}" for own in found if own.problem is not None]
    if problems:
        raise UserError("; ".join(problems))
    wanted: dict[Path, Path] = {}
    tables: dict[Path, bytes] = {}
    for own in found:
        place = picture_folder(folder, layout, own.style)
        kept = [row for row in own.rows if row.learnt]
        wanted |= {place / row.picture.path.name: row.picture.path for row in kept}
        if layout == "contest" and (references / own.style / "prompt.json").is_file():
            tables[folder / own.style / "prompt.json"] = (references / own.style / "prompt.json").read_bytes()
        rows = [(row.picture.path.name, row.picture.caption) for row in kept]
        tables[place / TABLES["csv"]] = MARK + to_plain_csv(("file_name", "text"), rows)
    rows_of_all = [_line(own.style, row) for own in found for row in own.rows]
    report = folder.with_name(f"{folder.name}-report.csv")  # in the folder it would be a stray file
    tables[report] = MARK + to_plain_csv(COLUMNS, rows_of_all)
    _require_free(wanted, tables)
    for target, source in wanted.items():
        if not target.exists():
            copy_file(target, source)
    for target, data in tables.items():
        write_bytes(target, data)
    return f"{folder}: {len(wanted)} of {len(rows_of_all)} pictures kept; {report} says why the others are not"


def _require_free(wanted: dict[Path, Path], tables: dict[Path, bytes]) -> None:
    """UserError where something else lies in the place of what is to be written, or beside it to be learnt, too."""
    from jdart.data.folder import pictures_in

    for target, source in wanted.items():
        if target.exists() and sha256(target) != sha256(source):
            raise UserError(f"{target}: another picture; choose an empty folder")
    for target, data in tables.items():
        if target.is_file() and target.read_bytes() != data:
            raise UserError(f"{target}: is there already, with other lines; choose an empty folder")
    for place in {target.parent for target in wanted}:
        others = [path.name for path in (pictures_in(place) if place.is_dir() else []) if path not in wanted]
        if others:
            raise UserError(f"{place}: holds {others[0]}, which is not kept now; choose an empty folder")


def _line(style: str, row: PictureRow) -> tuple[object, ...]:
    facts = row.facts
    size = ("", "", "") if facts is None else (facts.width, facts.height, f"{facts.aspect:.4f}")
    why = next((text for text in (row.problem, row.left_out) if text is not None), "")
    return (style, row.picture.path.name, *size, "yes" if row.learnt else "no", why, row.picture.caption)
