"""A weights folder: which files it must hold, their hashes, and whether the contest used the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contest.disk.files import LFS_POINTER, is_lfs_pointer, read_json, sha256
from contest.disk.shipped import means_toy, toy_archive, unpack
from contest.errors import UserError, needs

DINO = "dinov2-base"
CLIP = "clip-vit-large-patch14"
RN50 = "RN50.pt"
SQUEEZENET = "squeezenet1_1-b8a52dc0.pth"
INCEPTION = "weights-inception-2015-12-05-6726825d.pth"
HEADS = "lpips/v0.1/squeeze.pth"  # from the lpips wheel, not from the folder
AESTHETIC = "aesthetic/sa_0_4_vit_l_14_linear.pth"  # optional; no part of Final
TOY_NAME = "jdart/toy"  # what CLIP's settings call themselves in the shipped pack

# {"schema_version": 1, "files": {<file>: {"sha256": ..., "revision": ...}}}; "url" instead where there is no revision
LOCK = "weights.lock.json"

SETTINGS = {
    DINO: ("config.json", "preprocessor_config.json"),
    CLIP: ("config.json", "preprocessor_config.json", "vocab.json", "merges.txt"),
}
# a Hugging Face folder holds its tensors in the first of these that is there
TENSORS = ("model.safetensors", "pytorch_model.bin")
# what a file's sha256 starts with; the names of the two .pth files carry theirs
PINS = {
    RN50: "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762",
    SQUEEZENET: "b8a52dc0",
    INCEPTION: "6726825d",
    HEADS: "4a5350f23600cb79923ce65bb07cbf57dca461329894153e05a1346bd531cf76",
}
REVISIONS = {
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
        """SHA-256 of every file, sorted by name; a second or two for the real ones."""
        return hash_files(self.files)


def find_weights(root: Path) -> Path:
    """The folder that is meant: `toy` is the shipped pack, unpacked into the user's cache. Raises UserError."""
    if not means_toy(root):
        return root
    with needs("eval"):
        from evaluator.weights.tokenizer import write_tokenizer

        return unpack(toy_archive("evaluator"), lambda folder: write_tokenizer(folder / CLIP))


def open_weights(root: Path) -> Weights:
    """Find every file the metrics need; `toy` names the shipped pack. Raises UserError that lists all missing ones."""
    root = find_weights(root)
    if not root.is_dir():
        raise UserError(
            f"{root}: no such weights folder; `jdart-eval weights pull {root}` fetches the contest's, "
            f"`jdart-eval weights new {root}` writes miniature ones, `toy` names those that come with jdart"
        )
    names = [f"{folder}/{name}" for folder, members in SETTINGS.items() for name in members]
    names += [tensors_of(root, folder) for folder in SETTINGS]
    names += [RN50, SQUEEZENET, INCEPTION]
    files = {name: root / name for name in names}
    missing = [name for name, path in files.items() if not path.is_file()]
    if missing:
        raise UserError(
            f"{root}: the weights are incomplete, missing: {', '.join(sorted(missing))}; "
            f"`jdart-eval weights pull {root}` fetches the contest's"
        )
    pointers = [name for name, path in files.items() if is_lfs_pointer(path)]
    if pointers:
        raise UserError(f"{root / pointers[0]}: {LFS_POINTER}")
    if (root / AESTHETIC).is_file():
        files[AESTHETIC] = root / AESTHETIC
    files[HEADS] = lpips_heads()
    return Weights(root, dict(sorted(files.items())))


def tensors_of(root: Path, folder: str) -> str:
    """The name of the file with the tensors of `folder`: the one that is there, otherwise the first choice."""
    names = [f"{folder}/{name}" for name in TENSORS]
    return next((name for name in names if (root / name).is_file()), names[0])


def lpips_heads() -> Path:
    """The linear heads inside the installed lpips package. Raises ModuleNotFoundError."""
    from importlib.util import find_spec

    # found without importing the package, which would load torchvision for this one small file
    spec = find_spec("lpips")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("No module named 'lpips'", name="lpips")
    return Path(spec.origin).parent / "weights" / "v0.1" / "squeeze.pth"


def hash_files(files: Mapping[str, Path]) -> dict[str, str]:
    """SHA-256 of every file, sorted by name."""
    from concurrent.futures import ThreadPoolExecutor

    names = sorted(files)
    with ThreadPoolExecutor() as pool:  # hashlib lets other threads run while it works
        return dict(zip(names, pool.map(sha256, [files[name] for name in names])))


def doubts(weights: Weights, hashes: Mapping[str, str]) -> list[str]:
    """Why figures made with these weights may not stand beside the contest's; empty for the pinned ones.

    The two Hugging Face folders carry no known hash; they count as the pinned revision when the folder's
    lock file, written at download, says so and its hashes still hold.
    """
    if is_toy(weights.root):
        return ["toy weights: not comparable with the contest"]
    if is_miniature(weights.root):
        return ["miniature weights: the figures check the arithmetic, not the pictures"]
    reasons = [
        f"{name} is not the pinned file (sha256 {hashes[name][:12]}, expected {pin[:12]})"
        for name, pin in PINS.items()
        if not hashes[name].startswith(pin)
    ]
    lock = read_lock(weights.root)
    for folder, revision in REVISIONS.items():
        names = [name for name in weights.files if name.startswith(f"{folder}/")]
        entries = [lock.get(name, {}) for name in names]
        vouched = [(entry.get("sha256"), entry.get("revision")) for entry in entries]
        if vouched != [(hashes[name], revision) for name in names]:
            reasons.append(f"{folder} is unverified: no {LOCK} vouches for revision {revision[:12]}")
    return reasons


def is_toy(root: Path) -> bool:
    """Whether this is the shipped pack, or a copy of it."""
    try:
        config = read_json(root / CLIP / "config.json")
    except UserError:
        return False
    return isinstance(config, dict) and config.get("_name_or_path") == TOY_NAME


def is_miniature(root: Path) -> bool:
    """Whether a network of the folder has another width than the contest's, as far as its settings can be read."""
    for folder, (key, real) in _WIDTHS.items():
        try:
            config = read_json(root / folder / "config.json")
        except UserError:  # what is missing or damaged is told where the files are counted and loaded
            continue
        if isinstance(config, dict) and config.get(key, real) != real:
            return True
    return False


def read_lock(root: Path) -> dict[str, dict[str, Any]]:
    """What the folder's lock file says of each file; empty when there is none. Raises UserError."""
    path = root / LOCK
    if not path.is_file():
        return {}
    data = read_json(path)
    files = data.get("files") if isinstance(data, dict) else None
    if not isinstance(files, dict) or not all(isinstance(entry, dict) for entry in files.values()):
        raise UserError(f"{path}: must hold an object `files`; delete it or fetch the weights again")
    return files
