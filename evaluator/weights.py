"""A weights folder: which files it must hold, their hashes, and whether the contest used the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from submission.errors import UserError
from submission.files import read_json, sha256

DINO = "dinov2-base"
CLIP = "clip-vit-large-patch14"
RN50 = "RN50.pt"
SQUEEZENET = "squeezenet1_1-b8a52dc0.pth"
INCEPTION = "weights-inception-2015-12-05-6726825d.pth"
HEADS = "lpips/v0.1/squeeze.pth"  # from the lpips wheel, not from the folder

LOCK = "weights.lock.json"  # {"schema_version": 1, "files": {<file>: {"sha256": ..., "revision": ...}}}

_FOLDERS = {
    DINO: ("config.json", "preprocessor_config.json"),
    CLIP: ("config.json", "preprocessor_config.json", "vocab.json", "merges.txt"),
}
# what a file's sha256 starts with; the names of the two .pth files carry theirs
_PINS = {
    RN50: "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762",
    SQUEEZENET: "b8a52dc0",
    INCEPTION: "6726825d",
    HEADS: "4a5350f23600cb79923ce65bb07cbf57dca461329894153e05a1346bd531cf76",
}
_REVISIONS = {
    DINO: "f9e44c814b77203eaa57a6bdbbd535f21ede1415",
    CLIP: "32bd64288804d66eefd0ccbe215aa642df71cc41",
}
_WIDTHS = {DINO: ("hidden_size", 768), CLIP: ("projection_dim", 768)}


@dataclass(frozen=True)
class Weights:
    """A weights folder in which every file is there. `files` maps a file's name in reports to its place."""

    root: Path
    files: Mapping[str, Path]

    def hashes(self) -> dict[str, str]:
        """SHA-256 of every file; some seconds for the real ones."""
        return {name: sha256(path) for name, path in self.files.items()}


def open_weights(root: Path) -> Weights:
    """Find every file the metrics need. Raises UserError that lists all missing ones."""
    if not root.is_dir():
        raise UserError(f"{root}: no such weights folder; `jdart-eval weights new {root}` writes a miniature one")
    names = [f"{folder}/{name}" for folder, members in _FOLDERS.items() for name in members]
    names += [RN50, SQUEEZENET, INCEPTION]
    files = {name: root / name for name in names}
    for folder in _FOLDERS:
        options = (f"{folder}/model.safetensors", f"{folder}/pytorch_model.bin")
        name = next((option for option in options if (root / option).is_file()), options[0])
        files[name] = root / name
    missing = [name for name, path in files.items() if not path.is_file()]
    if missing:
        raise UserError(f"{root}: the weights are incomplete, missing: {', '.join(sorted(missing))}")
    files[HEADS] = _lpips_heads()
    return Weights(root, dict(sorted(files.items())))


def doubts(weights: Weights, hashes: Mapping[str, str]) -> list[str]:
    """Why figures made with these weights may not stand beside the contest's; empty for the pinned ones.

    The two Hugging Face folders carry no known hash; they count as the pinned revision when the folder's
    lock file, written at download, says so and its hashes still hold.
    """
    if _is_miniature(weights):
        return ["miniature weights: the figures check the arithmetic, not the pictures"]
    reasons = [
        f"{name} is not the pinned file (sha256 {hashes[name][:12]}, expected {pin[:12]})"
        for name, pin in _PINS.items()
        if not hashes[name].startswith(pin)
    ]
    lock = _read_lock(weights.root / LOCK)
    for folder, revision in _REVISIONS.items():
        names = [name for name in weights.files if name.startswith(f"{folder}/")]
        locked = [lock.get(name) == (hashes[name], revision) for name in names]
        if not all(locked):
            reasons.append(f"{folder} is unverified: no {LOCK} vouches for revision {revision[:12]}")
    return reasons


def _is_miniature(weights: Weights) -> bool:
    for folder, (key, real) in _WIDTHS.items():
        config = read_json(weights.root / folder / "config.json")
        if isinstance(config, dict) and config.get(key, real) != real:
            return True
    return False


def _read_lock(path: Path) -> dict[str, tuple[Any, Any]]:
    if not path.is_file():
        return {}
    data = read_json(path)
    files = data.get("files") if isinstance(data, dict) else None
    if not isinstance(files, dict) or not all(isinstance(entry, dict) for entry in files.values()):
        raise UserError(f"{path}: must hold an object `files`; delete it or fetch the weights again")
    return {name: (entry.get("sha256"), entry.get("revision")) for name, entry in files.items()}


def _lpips_heads() -> Path:
    from importlib.util import find_spec

    # found without importing the package, which would load torchvision for this one small file
    spec = find_spec("lpips")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("No module named 'lpips'", name="lpips")
    return Path(spec.origin).parent / "weights" / "v0.1" / "squeeze.pth"
