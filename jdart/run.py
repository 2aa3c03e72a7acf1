"""The run folder: where everything of a run lies, and `run.json`, which says what was run."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jdart.config import Config, to_mapping
from jdart.lora_file import FILE_NAME
from submission.contest import Contest
from submission.contest_file import contest_from_references, load_contest
from submission.errors import UserError
from submission.files import read_json, sha256, write_json
from submission.provenance import find_commit

SCHEMA_VERSION = 1
LIBRARIES = ("jittor", "numpy", "pillow", "transformers")
# Settings that change nothing in a picture: a run may go on with other values of these.
FREE = (
    "name",
    "output",
    "styles",
    "contest",
    "references",
    "base.model",
    "base.revision",
    "generate.batch_size",
    "score",
)


@dataclass(frozen=True)
class RunFolder:
    """Paths of a run. Nothing is made before it is needed, and nothing is ever removed."""

    root: Path

    @property
    def manifest(self) -> Path:
        return self.root / "run.json"

    @property
    def images(self) -> Path:
        return self.root / "images"

    @property
    def entry(self) -> Path:
        return self.root / "entry.zip"

    @property
    def report(self) -> Path:
        return self.root / "report"

    @property
    def site(self) -> Path:
        return self.root / "site"

    def image(self, style: str, prompt: str) -> Path:
        return self.images / style / f"{prompt}.png"

    def lora(self, style: str) -> Path:
        """The style's LoRA; a `.bin` of the JDiffusion baseline where that is what was put there."""
        path = self.root / "lora" / style / FILE_NAME
        baseline = path.with_suffix(".bin")
        return baseline if baseline.exists() and not path.exists() else path

    def losses(self, style: str) -> Path:
        return self.root / "lora" / style / "loss.csv"

    def sheet(self, style: str) -> Path:
        return self.root / "sheets" / f"{style}.png"

    def prior(self, prompt: str, number: int) -> Path:
        return self.root / "prior" / prompt / f"{number}.png"


def contest_of(config: Config) -> Contest:
    """The contest of a configuration: all its styles, or those chosen. Raises UserError for an unknown style."""
    if config.contest is None:
        contest = contest_from_references(config.references)
    else:
        contest = load_contest(config.contest)
    return contest if config.styles is None else contest.subset(config.styles)


def earlier_run(folder: RunFolder) -> Mapping[str, Any] | None:
    """What `run.json` says, or None in a fresh folder. Raises UserError when it is not one of ours."""
    if not folder.manifest.exists():
        return None
    run = read_json(folder.manifest)
    good = isinstance(run, dict) and run.get("schema_version") == SCHEMA_VERSION and isinstance(run.get("config"), dict)
    good = good and isinstance(run.get("base"), dict) and isinstance(run.get("styles"), list)
    if not good or not all(isinstance(text, str) for text in [run["base"].get("sha256"), *run["styles"]]):
        raise UserError(f"{folder.manifest}: not a run of this version; choose another output folder")
    return run


def require_same(folder: RunFolder, run: Mapping[str, Any], config: Config, identity: str) -> None:
    """Refuse to go on with settings, or a base, that made other pictures than those already in the folder."""
    before, now = _flat(run["config"]), _flat(to_mapping(config))
    changed = [
        f"{key}: {before.get(key)!r} -> {now.get(key)!r}"
        for key in sorted({*before, *now})
        if before.get(key) != now.get(key) and not any(key == free or key.startswith(free + ".") for free in FREE)
    ]
    if run["base"].get("sha256") != identity:
        changed.append("the base model's weights")
    if changed:
        raise UserError(
            f"{folder.root} was made with other settings ({'; '.join(changed)}); "
            "nothing was touched: choose another folder with --output, or go back to the settings"
        )


def write_run(folder: RunFolder, config: Config, contest: Contest, identity: str, revision: str | None) -> None:
    """Write `run.json` as the folder stands now. The styles of earlier calls stay listed."""
    earlier = earlier_run(folder)
    styles = [*contest.styles, *([] if earlier is None else earlier["styles"])]
    loras = {
        style: {
            "file": str(folder.lora(style).relative_to(folder.root)),
            "sha256": sha256(folder.lora(style)),
        }
        for style in sorted(set(styles))
        if folder.lora(style).exists()
    }
    value = {
        "schema_version": SCHEMA_VERSION,
        "name": config.name,
        "tool": f"jdart {_version('jdart')}",
        "contest": contest.name,
        "styles": sorted(set(styles)),
        "images": "images",
        "seed": config.seed,
        "config": to_mapping(config),
        "base": {"source": config.base.model, "revision": revision, "sha256": identity},
        "commit": find_commit(folder.root) if earlier is None else earlier.get("commit"),
        "lora": loras,
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in LIBRARIES}},
        "local": {
            "references": _relative(config.references, folder.root),
            "weights": None if config.score.weights is None else _relative(config.score.weights, folder.root),
        },
    }
    if earlier != value:
        write_json(folder.manifest, value)


def _relative(path: str, root: Path) -> str:
    """Relative to the run folder, so that a checkout can be moved as a whole."""
    return os.path.relpath(Path(path).resolve(), root.resolve())


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat
