"""What the packages bring along as an archive: unpacked once, into the user's cache."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from contest.disk.drafts import draft_folder
from contest.disk.files import write_bytes
from contest.disk.places import NO_CACHE, unwritable, user_cache
from contest.errors import UserError, first_line

TOY = "toy"  # names the shipped base model, weights of the evaluator, and references
_CURE = "install jdart again, or in a checkout run: make toy"
_CACHE_CURE = "set JDART_CACHE to a folder that can, with some room"


def means_toy(name: str | os.PathLike[str]) -> bool:
    """Whether a name of a folder means what is shipped; a folder of that name, where there is one, goes first."""
    return os.fspath(name) == TOY and not os.path.isdir(name)


def place_in_run(run: Path, place: str) -> Path:
    """A place that run.json names: relative to the run folder, or the name of what is shipped."""
    path = Path(os.path.normpath(run / place))
    return Path(place) if place == TOY and not os.path.isdir(path) else path


def toy_archive(package: str) -> Path:
    """Where a package's toy is: "jdart" has the base model, "evaluator" the weights. Nothing is imported."""
    spec = find_spec(package)
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).with_name(f"{TOY}.zip")


def references_folder(name: str | os.PathLike[str]) -> Path:
    """The folder of references that a name means: `toy` are those of the toy contest, which come along."""
    if not means_toy(name):
        return Path(name)
    installed = Path(__file__).parents[1] / "sample"  # where setup.cfg puts them in a wheel
    return installed if installed.is_dir() else Path(__file__).parents[2] / "data" / "sample"


def unpack(archive: Path, finish: Callable[[Path], None]) -> Path:
    """The folder in the user's cache with the contents of a zip, made when it is first asked for.

    It is named after the archive's SHA-256, so that another archive gets another folder. `finish(folder)` adds what
    the archive leaves out. The folder appears when all is in it: any number of processes may ask at once, and one that
    is killed does no harm. Raises UserError for an archive that is missing or damaged, a cache that cannot be written,
    and a folder that lacks something.
    """
    data = _read(archive)
    folder = _place(archive, data)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            sizes = {item.filename: item.file_size for item in packed.infolist() if not item.is_dir()}
            files = {} if folder.is_dir() else {name: packed.read(name) for name in sizes}
    except Exception as error:  # zipfile raises whatever a damaged file provokes
        raise UserError(f"{archive}: damaged ({first_line(error)}); {_CURE}") from error
    if files:
        _make(folder, files, finish)
    _require_whole(folder, sizes)
    return folder


def obstacle(archive: Path) -> tuple[str, str] | None:
    """Why an archive could not be unpacked for this user, and the cure; None where it can be, or is already."""
    try:
        place = _place(archive, _read(archive))
    except UserError as error:
        found, _, cure = str(error).partition("; ")
        return found, cure
    problem = None if place.is_dir() else unwritable(place.parent)
    return None if problem is None else (problem, _CACHE_CURE)


def _read(archive: Path) -> bytes:
    try:
        return archive.read_bytes()
    except OSError as error:
        raise UserError(f"{archive}: cannot be read ({error.strerror}); {_CURE}") from error


def _place(archive: Path, data: bytes) -> Path:
    cache = user_cache()
    if cache is None:
        raise UserError(f"{archive}: {NO_CACHE}, with some room")
    return cache / f"{archive.stem}-{hashlib.sha256(data).hexdigest()[:16]}"


def _make(folder: Path, files: dict[str, bytes], finish: Callable[[Path], None]) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with draft_folder(folder) as work:
            draft = work / folder.name
            for name, data in files.items():
                write_bytes(draft / name, data)
            finish(draft)
            try:
                os.rename(draft, folder)
            except OSError:
                if not folder.is_dir():  # else another process was faster; its folder is as good
                    raise
    except OSError as error:
        raise UserError(f"{folder.parent}: the cache cannot be written ({error.strerror}); {_CACHE_CURE}") from error


def _require_whole(folder: Path, sizes: dict[str, int]) -> None:
    """UserError when a file was removed or cut off since the folder was made."""
    for name, size in sizes.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != size:
            raise UserError(f"{path}: missing or damaged; remove the folder {folder}, it will be made again")
