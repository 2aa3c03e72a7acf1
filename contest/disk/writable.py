"""Can something be written there? Asked before hours of work, which would be lost where the answer is no."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from contest.errors import UserError


def require_folder(folder: Path) -> None:
    """Raise UserError unless files can be made in `folder`, which need not be there yet. Leaves nothing behind."""
    new = missing_folders(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".jdart-", suffix=".part", dir=folder)
        os.close(handle)
        os.unlink(name)
    except (FileExistsError, NotADirectoryError):
        raise UserError(f"{folder}: is not a folder, or lies below a file; choose another place") from None
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be written ({error.strerror}); choose another place, or change who may use this one"
        ) from error
    finally:
        for one in new:
            if one.is_dir() and not any(one.iterdir()):
                one.rmdir()


def require_file(path: Path) -> None:
    """Raise UserError unless `path` can be written: as `require_folder`, and it is no folder."""
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name a file")
    require_folder(path.parent)


def missing_folders(folder: Path) -> list[Path]:
    """`folder` and those above it that are not there, the innermost first."""
    missing = []
    for one in (folder, *folder.parents):
        if os.path.lexists(one):
            break
        missing.append(one)
    return missing
