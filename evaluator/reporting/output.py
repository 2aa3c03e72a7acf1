"""The report folder: report.json, the same as tables, and small pictures for a page that shows them."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from contest.disk.files import write_bytes, write_json
from contest.disk.spreadsheet import to_csv
from contest.disk.writable import require_file, require_folder
from contest.errors import UserError
from evaluator.analysis.cells import BOUNDED, FEATURES
from evaluator.inputs.entry import Entry
from evaluator.reporting.report import IMAGES, STYLES, Report


@dataclass(frozen=True)
class Attachments:
    """What goes beside report.json.

    Thumbnails are WebP files by "<style>/<name>"; `stems` are the outputs' FID features (N,64) in the order of the
    report's images, and the moments are the references': from them FID can be resampled without any picture. `bounds`
    has for each of the report's styles, in order, what no picture can pass in each of `BOUNDED`.
    """

    outputs: Mapping[str, bytes]
    references: Mapping[str, bytes]
    stems: np.ndarray
    real_mean: np.ndarray
    real_covariance: np.ndarray
    bounds: Mapping[str, Mapping[str, float]]


def report_folder(entry: Entry, out: str | PathLike[str] | None) -> Path:
    """`out`, else the entry's own place, tried. Raises UserError: inside the submission, or nothing can be written."""
    folder = entry.report if out is None else Path(out)
    home, place = entry.home.resolve(), folder.resolve()
    if home == place or home in place.parents:
        raise UserError(f"{folder}: lies inside the submission; choose another folder with --out")
    require_report_folder(folder)
    return folder


def require_report_folder(folder: Path) -> None:
    """Raise UserError unless `write_report` can write there; to be asked before the networks are loaded."""
    require_file(folder / "report.json")
    for inside, _, _ in os.walk(folder / "thumbnails"):
        require_folder(Path(inside))


def write_report(folder: Path, report: Report, attachments: Attachments) -> None:
    """Write all files, each whole or not at all; report.json last, so that where it is, the rest is too."""
    files = {
        f"thumbnails/{role}/{where}.webp": data
        for role in ("outputs", "references")
        for where, data in getattr(attachments, role).items()
    }
    files[FEATURES] = _features(attachments)
    files["styles.csv"] = to_csv(list(STYLES), report.rows("styles"))
    files["images.csv"] = to_csv(list(IMAGES), report.rows("images"))
    for name, data in files.items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != data:
            write_bytes(path, data)
    write_json(folder / "report.json", report.to_json())


def _features(attachments: Attachments) -> bytes:
    stream = io.BytesIO()
    np.savez(
        stream,
        outputs=attachments.stems,
        real_mean=attachments.real_mean,
        real_covariance=attachments.real_covariance,
        **{f"{key}_bounds": np.array([own[key] for own in attachments.bounds.values()]) for key in BOUNDED},
    )
    return stream.getvalue()
