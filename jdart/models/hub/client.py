"""The hub through its own client, whose every failure becomes one line with the cure that works."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from contest.errors import UserError, first_line, needs

_LOGIN = "log in with: hf auth login (or set HF_TOKEN)"


def list_files(model: str, revision: str | None) -> tuple[list[str], Path | None]:
    """Names of a repository's files and, where the hub is out of reach, the folder of its cache that they lie in.

    The hub is asked once, and nothing is downloaded. UserError when neither knows the repository.
    """
    with _client():
        from huggingface_hub import HfApi, snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    try:
        return [item.rfilename for item in HfApi().model_info(model, revision=revision).siblings or ()], None
    except (HfHubHTTPError, HFValidationError) as error:
        if not _is_down(error):
            raise _explained(error, model, revision) from error
        problem: Exception = error
    except Exception as error:  # each version of the client has another HTTP library, whose errors share no class
        problem = error
    try:
        found = snapshot_download(model, revision=revision, allow_patterns=["model_index.json"], local_files_only=True)
    except Exception:
        raise _explained(problem, model, revision) from problem
    folder = Path(found)
    return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()], folder


def download(model: str, revision: str | None, names: Sequence[str]) -> Path:
    """The snapshot in the hub's cache, with the named files. UserError when they cannot be had."""
    with _client():
        from huggingface_hub import snapshot_download
    try:
        return Path(snapshot_download(model, revision=revision, allow_patterns=list(names)))
    except OSError as error:
        if error.errno is not None and error.filename is not None:  # of the disk
            raise
        raise _explained(error, model, revision) from error
    except Exception as error:
        raise _explained(error, model, revision) from error


@contextmanager
def _client() -> Iterator[None]:
    """The client reads its settings when it is imported."""
    try:
        with needs("train"):
            yield
    except ValueError as error:
        raise UserError(
            f"the hub's client cannot be used ({first_line(error)}); mend the HF_ variable it means"
        ) from error


def _is_down(error: Exception) -> bool:
    return getattr(getattr(error, "response", None), "status_code", 0) >= 500


def _explained(error: Exception, model: str, revision: str | None) -> UserError:
    from huggingface_hub import constants, errors

    status = getattr(getattr(error, "response", None), "status_code", None)
    said = f"HTTP {status}" if isinstance(error, errors.HfHubHTTPError) else first_line(error)
    if isinstance(error, errors.GatedRepoError):  # also a RepositoryNotFoundError
        page = f"{constants.ENDPOINT}/{model}"
        return UserError(f"{model}: asks for its licence to be accepted; accept it on {page}, then {_LOGIN}")
    if isinstance(error, errors.DisabledRepoError):
        return UserError(f"{model}: the hub has closed this repository; take another")
    if isinstance(error, errors.RevisionNotFoundError):
        return UserError(f"{model}: has no revision {revision}; leave base.revision out, or name one that it has")
    if isinstance(error, errors.HFValidationError):
        return UserError(f"{model}: no name of a repository ({said}); write it as owner/name, or name a folder")
    if isinstance(error, errors.RepositoryNotFoundError):
        return UserError(
            f"{model}: neither a folder here nor a repository on the hub; mend the name, or if it is private, {_LOGIN}"
        )
    if status in (401, 403):
        return UserError(f"{model}: the hub refuses your token ({said}); {_LOGIN}, or unset HF_TOKEN")
    if status == 429:
        return UserError(f"{model}: the hub asks to wait ({said}: too many requests); try again later, or {_LOGIN}")
    if constants.HF_HUB_OFFLINE:
        return UserError(
            f"{model}: not in the hub's cache ({constants.HF_HUB_CACHE}), and HF_HUB_OFFLINE is set; "
            "unset it for the first time, set HF_HOME to where the cache is, or name a folder"
        )
    endpoint = "HF_ENDPOINT" if os.environ.get("HF_ENDPOINT") else "the connection"
    return UserError(
        f"{model}: not in the hub's cache and not to be had now from {constants.ENDPOINT} ({said}); "
        f"check {endpoint}, or name a folder"
    )
