"""The report folder: report.json, the same as tables, and small pictures for a page that shows them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import fields
from os import PathLike
from pathlib import Path
from typing import Any

from evaluator.entry import Entry
from evaluator.images import to_thumbnail
from evaluator.metrics.base import Batch
from evaluator.report import ImageScores, Report, StyleScores
from submission.errors import UserError
from submission.files import write_bytes, write_json


class Thumbnails:
    """WebP files in memory, a few kilobytes each, so that nothing is written before there is a score."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def add(self, role: str, batch: Batch) -> None:
        """`role` is "references" or "outputs"; a name keeps everything but its ".png"."""
        for name, pixels in zip(batch.names, batch.pixels):
            self.files[f"thumbnails/{role}/{batch.style}/{name[: -len('.png')]}.webp"] = to_thumbnail(pixels)


def report_folder(entry: Entry, out: str | PathLike[str] | None) -> Path:
    """`out`, else the entry's own place. Raises UserError when that lies inside the submission."""
    folder = entry.report if out is None else Path(out)
    home, place = entry.home.resolve(), folder.resolve()
    if home == place or home in place.parents:
        raise UserError(f"{folder}: lies inside the submission; choose another folder with --out")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is not a folder; choose another with --out")
    return folder


def write_report(folder: Path, report: Report, thumbnails: Thumbnails) -> None:
    """Write all files, each whole or not at all; report.json last, so that where it is, the rest is too."""
    files = dict(thumbnails.files)
    files["styles.csv"] = _csv(("style", *_columns(StyleScores)), _style_rows(report))
    files["images.csv"] = _csv(("style", "image", *_columns(ImageScores)), _image_rows(report))
    for name, data in files.items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != data:
            write_bytes(path, data)
    write_json(folder / "report.json", report.to_json())


def _style_rows(report: Report) -> Iterator[list[Any]]:
    for style, scores in report.styles.items():
        yield [style, *_values(scores)]


def _image_rows(report: Report) -> Iterator[list[Any]]:
    for style, images in report.images.items():
        for name, scores in images.items():
            yield [style, name, *_values(scores)]


def _columns(kind: Any) -> list[str]:
    return [item.name for item in fields(kind)]


def _values(scores: StyleScores | ImageScores) -> Iterator[Any]:
    for item in fields(scores):
        value = getattr(scores, item.name)
        yield "|".join(value) if isinstance(value, list) else value


def _csv(header: tuple[str, ...], rows: Iterator[list[Any]]) -> bytes:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return stream.getvalue().encode("utf-8")
