"""Where each file of a weights folder comes from, and how the file on the disk stands against that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Union

from contest.errors import needs
from evaluator.weights.folder import (
    AESTHETIC,
    CLIP,
    DINO,
    HEADS,
    INCEPTION,
    PINS,
    REVISIONS,
    RN50,
    SETTINGS,
    SQUEEZENET,
    TENSORS,
    hash_files,
    lpips_heads,
    read_lock,
    tensors_of,
)

RIGHT = "right"
WRONG = "wrong"
MISSING = "missing"
UNVERIFIED = "unverified"  # there, but neither a pin nor the lock says what its hash should be


@dataclass(frozen=True)
class HubFile:
    """A file of a Hugging Face repository at a pinned commit; `name` is <folder>/<file in the repository>.

    Its hash is not known beforehand: the hub's own metadata says it, and from then on the folder's lock.
    """

    name: str
    repo: str
    revision: str
    sha256: str | None = None

    @property
    def source(self) -> str:
        return f"{self.repo}@{self.revision[:12]}"


@dataclass(frozen=True)
class WebFile:
    """A file at `urls`, tried in their order. `sha256` is what its hash starts with, None where that is not known."""

    name: str
    urls: tuple[str, ...]
    sha256: str | None

    @property
    def source(self) -> str:
        return self.urls[0]


@dataclass(frozen=True)
class WheelFile:
    """A file that the installed lpips package brings; there is nothing to fetch."""

    name: str
    sha256: str

    @property
    def source(self) -> str:
        return "the lpips package"


Fetchable = Union[HubFile, WebFile]
PinnedFile = Union[HubFile, WebFile, WheelFile]

_REPOSITORIES = {DINO: "facebook/dinov2-base", CLIP: "openai/clip-vit-large-patch14"}

NETWORKS: tuple[Fetchable, ...] = (
    *(
        HubFile(f"{folder}/{name}", repo, REVISIONS[folder])
        for folder, repo in _REPOSITORIES.items()
        for name in (*SETTINGS[folder], TENSORS[0])
    ),
    WebFile(
        RN50,
        (
            f"https://openaipublic.azureedge.net/clip/models/{PINS[RN50]}/RN50.pt",
            "https://github.com/photosynthesis-team/piq/releases/download/v0.7.1/RN50.pt",
        ),
        PINS[RN50],
    ),
    WebFile(SQUEEZENET, (f"https://download.pytorch.org/models/{SQUEEZENET}",), PINS[SQUEEZENET]),
    WebFile(
        INCEPTION,
        (f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{INCEPTION}",),
        PINS[INCEPTION],
    ),
)
EXTRAS: dict[str, tuple[Fetchable, ...]] = {
    "aesthetic": (
        # nobody published its hash: the one that comes first is trusted, and noted in the lock for all later checks
        WebFile(
            AESTHETIC,
            ("https://github.com/LAION-AI/aesthetic-predictor/raw/main/sa_0_4_vit_l_14_linear.pth",),
            None,
        ),
    ),
}
BUNDLED = (WheelFile(HEADS, PINS[HEADS]),)


@dataclass(frozen=True)
class Standing:
    """One file: its `state` (RIGHT, WRONG, MISSING or UNVERIFIED), and of a file that is there bytes and SHA-256.

    `expected` is the SHA-256, or its beginning, that the pin or the lock asks for.
    """

    file: PinnedFile
    path: Path
    state: str
    expected: str | None
    size: int | None = None
    sha256: str | None = None


def stand(root: Path, files: Sequence[PinnedFile]) -> list[Standing]:
    """Hash every one of `files` that is in the folder and compare it with its pin and the folder's lock.

    A pytorch_model.bin stands in for a missing model.safetensors of its folder. Raises UserError for a broken lock.
    """
    lock = read_lock(root)
    files = [_as_it_lies(root, file) for file in files]
    places = {file.name: _place(root, file) for file in files}
    hashes = hash_files({name: path for name, path in places.items() if path.is_file()})
    return [_judge(file, places[file.name], hashes.get(file.name), lock.get(file.name, {})) for file in files]


def stand_all(root: Path) -> list[Standing]:
    """`stand` for all files there are; an extra that is not there is left out, for nothing needs it."""
    extras = [file for group in EXTRAS.values() for file in group if (root / file.name).is_file()]
    return stand(root, [*NETWORKS, *extras, *BUNDLED])


def _as_it_lies(root: Path, file: PinnedFile) -> PinnedFile:
    folder, _, leaf = file.name.rpartition("/")
    if isinstance(file, HubFile) and leaf == TENSORS[0]:
        return replace(file, name=tensors_of(root, folder))
    return file


def _place(root: Path, file: PinnedFile) -> Path:
    if isinstance(file, WheelFile):
        with needs("eval"):
            return lpips_heads()
    return root / file.name


def _judge(file: PinnedFile, path: Path, sha256: str | None, entry: dict[str, Any]) -> Standing:
    # a lock of another revision says nothing about the pinned one
    of_another = isinstance(file, HubFile) and entry.get("revision") != file.revision
    locked = entry.get("sha256")
    expected = file.sha256
    if expected is None and isinstance(locked, str) and not of_another:
        expected = locked
    if sha256 is None:
        return Standing(file, path, MISSING, expected)
    if expected is None:
        state = UNVERIFIED
    else:
        state = RIGHT if sha256.startswith(expected) else WRONG
    return Standing(file, path, state, expected, path.stat().st_size, sha256)
