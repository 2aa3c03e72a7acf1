"""Pictures to learn from, each with its caption: from its name, a text beside it, or a table in the folder."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contest.disk.encodings import instead_of_utf8
from contest.disk.files import parse_json
from contest.errors import UserError
from jdart.config.problem import is_template
from jdart.data.folder import ENDINGS, TABLES, Unused, pictures_in, unused_in

MOST = 10  # problems told at a time
FILE_NAMES = "file name"  # where captions come from that come from nowhere else


@dataclass(frozen=True)
class Picture:
    """A picture to learn from; `object` is what it shows: its file name without suffix, underscores read as spaces."""

    path: Path
    object: str
    caption: str
    source: str = FILE_NAMES  # where the caption came from


def load_pictures(
    folder: Path, template: str, style: str, captions: str = "file_name", thing: str | None = None
) -> tuple[Picture, ...]:
    """The pictures directly in `folder`, sorted by file name, each with its caption.

    `captions` says where they come from: "file_name" through `template`, as in "an image of {object} in style_{id}";
    "txt", a text beside each picture; "jsonl" and "csv", file_name and text in metadata.jsonl or metadata.csv, of which
    the first may have several `images` a row, as Data-Juicer writes it;
    "auto", the table, else the texts, that the folder has, else the names. All may hold {object} and {id} (the style).
    `thing` is the object of all pictures, where their names do not say it.
    UserError if the folder is missing or has no picture, and with every problem of its captions together.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; put the reference pictures of style {style} there")
    paths = pictures_in(folder)
    if not paths:
        there = "; ".join(f"{one.name}: {one.why}" for one in unused_in(folder, (), captions)[:MOST])
        raise UserError(
            f"{folder}: no pictures; put one or more there ({', '.join(s[1:] for s in ENDINGS)})"
            + (f". There are {there}" if there else "")
        )
    problems: list[str] = []
    kind = _find_kind(folder, paths, problems) if captions == "auto" else captions
    if kind == "file_name":
        return tuple(Picture(path, _object(path, thing), _fill(template, path, style, thing)) for path in paths)
    texts = _beside(paths, problems) if kind == "txt" else _table(folder / TABLES[kind], kind, paths, problems)
    pictures = []
    for path in paths:
        if path.name not in texts:
            continue
        text, source = texts[path.name]
        try:
            pictures.append(Picture(path, _object(path, thing), _fill(text, path, style, thing), source))
        except UserError as error:
            problems.append(f"{source}: {error}")
    if problems:
        more = f"; and {len(problems) - MOST} more" if len(problems) > MOST else ""
        raise UserError(f"{folder}: mend its captions: {'; '.join(problems[:MOST])}{more}")
    return tuple(pictures)


def not_learnt(folder: Path, captions: str = "file_name") -> tuple[Unused, ...]:
    """What lies in `folder` and is neither a picture nor the captions that `load_pictures` reads for this setting."""
    paths = pictures_in(folder) if folder.is_dir() else []
    kind = _find_kind(folder, paths, []) if captions == "auto" else captions
    read = [TABLES[kind]] if kind in TABLES else [f"{path.stem}.txt" for path in paths] if kind == "txt" else []
    return unused_in(folder, read, captions)


def _find_kind(folder: Path, paths: Sequence[Path], problems: list[str]) -> str:
    """What "auto" means in this folder."""
    tables = [kind for kind, name in TABLES.items() if (folder / name).is_file()]
    if len(tables) > 1:
        problems.append(f"{' and '.join(TABLES[kind] for kind in tables)} are both there; set data.captions to one")
    if tables:
        return tables[0]
    return "txt" if any(path.with_suffix(".txt").is_file() for path in paths) else "file_name"


def _beside(paths: Sequence[Path], problems: list[str]) -> dict[str, tuple[str, str]]:
    """Picture's name -> the text in the .txt beside it, on one line, and that file's name."""
    found = {}
    for path in paths:
        file = path.with_suffix(".txt")
        if not file.is_file():
            problems.append(f"{path.name} has no {file.name}")
            continue
        text = " ".join(_read(file, problems).split())
        if text:
            found[path.name] = (text, file.name)
        elif not problems or not problems[-1].startswith(file.name):
            problems.append(f"{file.name} is empty")
    return found


def _table(file: Path, kind: str, paths: Sequence[Path], problems: list[str]) -> dict[str, tuple[str, str]]:
    """Picture's name -> its text in a table, and the table's name and line."""
    if not file.is_file():
        problems.append(f"no {file.name}, which data.captions: {kind} asks for")
        return {}
    before = len(problems)
    text = _read(file, problems)
    if len(problems) > before:
        return {}
    names = {path.name for path in paths}
    found: dict[str, tuple[str, str]] = {}
    seen: set[str] = set()
    for number, row in _json_rows(text, problems) if kind == "jsonl" else _csv_rows(text, problems):
        where = f"{file.name} line {number}"
        named, caption = _named(row), row.get("text")
        if not named or not isinstance(caption, str) or not caption.strip():
            problems.append(f"{where}: needs file_name and text")
            seen.update(named)
            continue
        for name in named:
            if name in seen:
                problems.append(f"{where}: {name} a second time")
            elif name not in names:
                problems.append(f"{where}: no picture {name}")
            else:
                found[name] = (caption.strip(), where)
            seen.add(name)
    problems += [f"{name} is not in {file.name}" for name in sorted(names - seen)]
    return found


def _named(row: Mapping[str, Any]) -> list[str]:
    """The names of a row's pictures: of one by `file_name`, or of a Data-Juicer sample by the paths in `images`."""
    paths = row.get("images", row.get("image")) if "file_name" not in row else [row["file_name"]]
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        return []
    return paths if "file_name" in row else [path.rpartition("/")[2] for path in paths]


def _json_rows(text: str, problems: list[str]) -> list[tuple[int, Mapping[str, Any]]]:
    rows: list[tuple[int, Mapping[str, Any]]] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = parse_json(line)
        except ValueError:
            row = None
        if isinstance(row, dict):
            rows.append((number, row))
        else:
            problems.append(f"{TABLES['jsonl']} line {number}: not a JSON object")
    return rows


def _csv_rows(text: str, problems: list[str]) -> list[tuple[int, Mapping[str, Any]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[int, Mapping[str, Any]]] = []
    try:
        header = next(reader, [])
        missing = [name for name in ("file_name", "text") if name not in header]
        if missing:
            problems.append(f"{TABLES['csv']}: no column {' or '.join(missing)} in its first line")
            return []
        for values in reader:
            if len(values) == len(header):
                rows.append((reader.line_num, dict(zip(header, values))))
            elif values:
                rule = "put texts with commas in double quotes"
                problems.append(
                    f"{TABLES['csv']} line {reader.line_num}: {len(values)} values for {len(header)} columns; {rule}"
                )
    except csv.Error as error:
        problems.append(f"{TABLES['csv']} line {reader.line_num}: {error}; double the quotes inside of quotes")
    return rows


def _read(file: Path, problems: list[str]) -> str:
    """A UTF-8 text, with or without the mark that editors on Windows put first; empty after noting a problem."""
    try:
        return file.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        problems.append(f"{file.name} is {instead_of_utf8(error)}")
        return ""


def _object(path: Path, thing: str | None) -> str:
    return path.stem.replace("_", " ") if thing is None else thing


def _fill(template: str, path: Path, style: str, thing: str | None) -> str:
    if not is_template(template):
        raise UserError(f"caption template {template!r}: only {{object}} and {{id}} can be filled in")
    return template.format(object=_object(path, thing), id=style)
