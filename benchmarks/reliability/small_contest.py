"""A miniature base, miniature weights, a contest of noise: a whole run of jdart takes seconds. Scores mean nothing."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from contest.disk.files import write_bytes

PROMPTS = {"00": ["Moon", "Ice cream"], "01": ["Dog", "Sun"]}
SIZE = 64  # pixels of an entry's side


@dataclass(frozen=True)
class SmallContest:
    """Where they lie. `config` names them all and is a run's, `event` is an evening's; `inbox` has four archives."""

    folder: Path

    @property
    def references(self) -> Path:
        return self.folder / "references"

    @property
    def base(self) -> Path:
        return self.folder / "base"

    @property
    def weights(self) -> Path:
        return self.folder / "weights"

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    @property
    def event(self) -> Path:
        return self.folder / "event.yaml"

    @property
    def inbox(self) -> Path:
        return self.folder / "inbox"


def make_contest(folder: Path) -> SmallContest:
    """Make what is not there yet."""
    small = SmallContest(folder)
    for style, prompts in PROMPTS.items():
        for number, name in enumerate(("star", "wheat_field", "cow")):
            place = small.references / style / "images" / f"{name}.png"
            if not place.exists():
                write_bytes(place, noise([int(style), number]))
        write_bytes(small.references / style / "prompt.json", json.dumps(dict(enumerate(prompts))).encode())
    if not small.weights.is_dir():
        from evaluator.weights.miniature import write_miniature

        write_miniature(small.weights, 11)
    if not small.base.is_dir():
        from jdart.runtime import start

        start("cpu")
        from jdart.models.presets import write_base

        write_base(small.base, "tiny", seed=1)
    contest = {"name": "small", "styles": PROMPTS}
    event = {"contest": "contest.yaml", "references": "references", "weights": "weights"}
    for name, value in (("config.yaml", _settings(small)), ("contest.yaml", contest), ("event.yaml", event)):
        write_bytes(folder / name, yaml.safe_dump(value).encode())
    for team in range(4):
        if not (small.inbox / f"team{team}.zip").exists():
            write_bytes(small.inbox / f"team{team}.zip", zipped(100 + team))
    return small


def noise(seed: list[int]) -> bytes:
    """A picture of noise as a PNG."""
    small = np.random.default_rng(seed).integers(0, 255, (5, 5, 3)).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(small).resize((SIZE, SIZE), Image.Resampling.BICUBIC).save(stream, "PNG")
    return stream.getvalue()


def pictures(seed: int) -> dict[str, bytes]:
    """A complete entry of noise: place -> PNG."""
    return {
        f"{style}/{prompt}.png": noise([seed, int(style), number])
        for style, prompts in PROMPTS.items()
        for number, prompt in enumerate(prompts)
    }


def draw_entry(folder: Path, seed: int) -> Path:
    """An entry as a folder."""
    for name, data in pictures(seed).items():
        write_bytes(folder / name, data)
    return folder


def zipped(seed: int) -> bytes:
    """An entry as an archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in pictures(seed).items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return stream.getvalue()


def _settings(small: SmallContest) -> dict[str, object]:
    train = {"steps": 16, "batch_size": 2, "learning_rate": 0.005, "checkpointing_steps": 4}
    return {
        "name": "small",
        "references": str(small.references),
        "base": {"model": str(small.base)},
        "data": {"size": 32},
        "lora": {"r": 2},
        "train": {**train, "also": ["kohya", "bin", "peft"]},
        "generate": {"sampler": "ddim", "steps": 6, "strength": 0.7, "guidance_scale": 2.0, "batch_size": 2},
        "score": {"weights": str(small.weights)},
    }
