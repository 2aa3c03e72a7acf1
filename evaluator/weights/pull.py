"""Fetch the pinned weights into a folder: only what is missing, and nothing without its hash.

huggingface_hub says where a file of the hub is and which hash it has (and thereby follows HF_ENDPOINT, HF_HUB_OFFLINE
and HF_TOKEN). Its own download is not used: it puts links or a `.cache` beside the files, and its version 2.4 throws
away what had come when it is stopped, which for 1.7 GB is no resuming.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from contest.disk.files import sha256, write_json
from contest.disk.writable import require_folder
from contest.errors import UserError, first_line, needs
from evaluator.weights.catalogue import MISSING, RIGHT, WRONG, Fetchable, HubFile, Standing, WebFile, stand
from evaluator.weights.download import TIMEOUT, Mismatch, Unavailable, download
from evaluator.weights.folder import LOCK, read_lock

# name of a file, bytes of it that are there, its bytes in all where known
Progress = Callable[[str, int, "int | None"], None]

# hexadecimal digits of the two hashes that the hub gives
_GIT, _SHA256 = 40, 64


@dataclass(frozen=True)
class _Wanted:
    """A file that is to be fetched or, when it is there, to be looked up. `digest` is what `_holds` compares."""

    standing: Standing
    urls: tuple[str, ...]
    digest: str | None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.standing.file.name


def pull(
    root: Path,
    files: Sequence[Fetchable],
    *,
    force: bool = False,
    endpoint: str | None = None,
    progress: Progress = lambda name, done, total: None,
) -> list[str]:
    """Make `root` hold every one of `files`, note their hashes in its lock, and return the names that were fetched.

    What is there and right is left alone. Another file under one of the names is replaced only with `force`; without
    it nothing is fetched. `endpoint` is the hub's address, by default HF_ENDPOINT or the public one. Raises UserError
    when a file cannot be had, or is not the pinned one; what has come so far stays and is not fetched again.
    """
    standings = stand(root, files)
    _refuse_others(root, [item.file.name for item in standings if item.state == WRONG and not force])
    left = [item for item in standings if item.state != RIGHT]
    for folder in sorted({item.path.parent for item in left} | ({root} if left else set())):
        require_folder(folder)
    names = [item.file.name for item in left]
    try:
        wanted = [_look_up(item, endpoint) for item in left]
    except Unavailable as error:
        raise _unavailable(root, [f"{error.host}: {error}"], names) from error
    kept = [item for item in wanted if item.standing.state != MISSING and _holds(item.standing.path, item.digest)]
    others = [item for item in wanted if item not in kept]
    _refuse_others(root, [item.name for item in others if item.standing.state != MISSING and not force])
    _note(root, [*(item for item in standings if item.state == RIGHT), *(item.standing for item in kept)])
    for place, item in enumerate(others):
        _fetch(root, item, [other.name for other in others[place:]], progress)
        _note(root, stand(root, [item.standing.file]))
    return [item.name for item in others]


def _look_up(standing: Standing, endpoint: str | None) -> _Wanted:
    """Where to fetch the file and which hash to ask for; the hub says the SHA-256 or, of a small file, its git blob."""
    file = standing.file
    if isinstance(file, WebFile):
        return _Wanted(standing, file.urls, standing.expected)
    assert isinstance(file, HubFile)
    with needs("eval"):
        from huggingface_hub import get_hf_file_metadata, hf_hub_url
        from huggingface_hub.utils import build_hf_headers
    url = hf_hub_url(file.repo, file.name.partition("/")[2], revision=file.revision, endpoint=endpoint)
    try:
        metadata = get_hf_file_metadata(url, timeout=TIMEOUT)
    except Exception as error:  # each version of the library has another HTTP client, whose errors share no other class
        raise Unavailable(url, first_line(error)) from error
    if metadata.commit_hash != file.revision:
        raise Unavailable(url, f"has commit {metadata.commit_hash} of {file.repo}, not {file.revision}")
    if metadata.etag is None or len(metadata.etag) not in (_GIT, _SHA256):
        raise Unavailable(url, f"gives no hash of {file.name}")
    return _Wanted(standing, (url,), metadata.etag, build_hf_headers())


def _fetch(root: Path, item: _Wanted, left: list[str], progress: Progress) -> None:
    reasons = []
    for url in item.urls:
        try:
            return download(
                url,
                item.standing.path,
                lambda part: _holds(part, item.digest),
                lambda done, total: progress(item.name, done, total),
                item.headers,
            )
        except Unavailable as error:
            reasons.append(f"{error.host}: {error}")
        except Mismatch:
            reasons.append(
                f"{urlsplit(url).netloc}: sent another file than the pinned one (its hash is wrong), refused"
            )
    raise _unavailable(root, reasons, left)


def _holds(path: Path, digest: str | None) -> bool:
    """Whether the file has this git blob name or SHA-256 (or its beginning); without one, whether torch wrote it."""
    if digest is None:
        with open(path, "rb") as stream:  # an error page is neither a zip archive nor a pickle
            return stream.read(2) in (b"PK", b"\x80\x02")
    if len(digest) == _GIT:
        blob = hashlib.sha1(f"blob {path.stat().st_size}\0".encode() + path.read_bytes(), usedforsecurity=False)
        return blob.hexdigest() == digest
    return sha256(path).startswith(digest)


def _note(root: Path, standings: Iterable[Standing]) -> None:
    """Write what is there into the lock, beside what it says of other files."""
    before = read_lock(root)
    entries = dict(before)
    for item in standings:
        origin = {"revision": item.file.revision} if isinstance(item.file, HubFile) else {"url": item.file.source}
        entries[item.file.name] = {"sha256": item.sha256, **origin}
    if entries != before:
        write_json(root / LOCK, {"schema_version": 1, "files": dict(sorted(entries.items()))})


def _refuse_others(root: Path, names: list[str]) -> None:
    if names:
        raise UserError(
            f"{root}: not the pinned files, and left as they are: {', '.join(names)}; "
            "move them away, or replace them with --force"
        )


def _unavailable(root: Path, reasons: list[str], left: list[str]) -> UserError:
    return UserError(
        f"{'; '.join(reasons)}; still to fetch: {', '.join(left)}. Run the same command again to go on (what came is "
        "kept), name a mirror of the hub in HF_ENDPOINT, or put the files there by hand: "
        f"`jdart-eval weights verify {root}` checks them"
    )
