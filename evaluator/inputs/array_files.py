"""An .npz that anybody may have made: nothing in it is run, and it takes no more memory than such a file is worth."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import numpy as np

from contest.errors import first_line

_FREE = 1 << 28  # bytes that any file may become
_TIMES = 20  # what is packed well may be so much larger than its file


def read_arrays(path: Path, names: Optional[Sequence[str]] = None) -> dict[str, np.ndarray]:
    """Name -> array, of all in a file or of those named.

    OSError: it cannot be opened. ValueError: it is none, damaged, lacks a name, or becomes far larger than it is.
    """
    with open(path, "rb") as stream:
        try:
            with zipfile.ZipFile(stream) as archive:
                size = sum(member.file_size for member in archive.infolist())
            if size > max(_FREE, _TIMES * path.stat().st_size):
                raise ValueError("what is packed in it is far larger than the file")
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as stored:
                found = {name: stored[name] for name in (stored.files if names is None else names)}
        except Exception as error:  # a damaged archive has many ways to fail
            raise ValueError(first_line(error)) from error
    others = [name for name, value in found.items() if not isinstance(value, np.ndarray)]  # NumPy gives their bytes
    if others:
        raise ValueError(f"{others[0]} is no array")
    return found
