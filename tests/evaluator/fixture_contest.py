"""The small contest whose figures official-2024.json holds: two styles, four references and six outputs each.

Its pixels follow from the seeds below and NumPy's generators alone.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

REFERENCES = {"00": ["river", "star", "cow", "boat"], "01": ["candle", "rose", "dragon_fly", "skull"]}
PROMPTS = {
    "00": ["Dolphin", "Bread", "Moon", "Lighthouse", "Dog", "Plate"],
    "01": ["Eagle", "Ice cream", "Watch", "Owl", "Sun", "Cloud"],
}


def paint(seed: int, side: int, palette_seed: int) -> np.ndarray:
    """Nine discs of waves between palette colours on a flat ground, and noise: side,side,3 uint8."""
    palette = np.random.default_rng(palette_seed).uniform(0, 255, (5, 3))
    rng = np.random.default_rng(seed)
    down, across = np.mgrid[0:side, 0:side] / side
    canvas = np.zeros((side, side, 3)) + palette[0]
    for _ in range(9):
        x, y = rng.uniform(0, 1), rng.uniform(0, 1)
        radius, angle, pitch = rng.uniform(0.08, 0.4), rng.uniform(0, 3.14), rng.uniform(3, 30)
        inside = (across - x) ** 2 + (down - y) ** 2 < radius**2
        phase = pitch * (across * np.cos(angle) + down * np.sin(angle)) * 6.28
        wave = (0.5 + 0.5 * np.sin(phase))[..., None]
        colour = palette[rng.integers(5)]
        canvas = np.where(inside[..., None], canvas * (1 - wave) + colour * wave, canvas)
    canvas += rng.normal(0, 6, canvas.shape)
    return np.clip(np.rint(canvas), 0, 255).astype(np.uint8)


def draw_contest(folder: Path) -> None:
    """Write <folder>/references and <folder>/outputs."""
    for place, style in enumerate(PROMPTS):
        images, outputs = folder / "references" / style / "images", folder / "outputs" / style
        images.mkdir(parents=True)
        outputs.mkdir(parents=True)
        for number, name in enumerate(REFERENCES[style]):
            Image.fromarray(paint(1000 * place + number, 320, place)).save(images / f"{name}.png")
        for number, name in enumerate(PROMPTS[style]):
            # every other output has the palette of its style, the others one of their own
            palette = place if number % 2 else 40 + number
            Image.fromarray(paint(5000 + 1000 * place + number, 256, palette)).save(outputs / f"{name}.png")
        prompts = {str(number): name for number, name in enumerate(PROMPTS[style])}
        (folder / "references" / style / "prompt.json").write_text(json.dumps(prompts), "utf-8")


def zip_outputs(outputs: Path, path: Path, **manifest: object) -> Path:
    """A built entry of the pictures in `outputs`, with a manifest.json where its fields are given."""
    with zipfile.ZipFile(path, "w") as archive:
        for picture in sorted(outputs.rglob("*.png")):
            archive.write(picture, picture.relative_to(outputs).as_posix())
        if manifest:
            archive.writestr("manifest.json", json.dumps({"schema_version": 1, **manifest}))
    return path
