import json

import numpy as np
import pytest
from ci_steps import Runner
from PIL import Image

PROMPTS = {"00": ["Dolphin", "Ice cream"], "01": ["Sun", "Dog"]}


def draw(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def runner(tmp_path):
    """A machine whose working folder holds a good entry in entry/, its contest in tiny.yaml, and its references."""
    folder = tmp_path / "repository"
    seed = 0
    for style, prompts in PROMPTS.items():
        for prompt in prompts:
            draw(folder / "entry" / style / f"{prompt}.png", seed := seed + 1)
        for name in ("boat", "tree"):
            draw(folder / "references" / style / "images" / f"{name}.png", seed := seed + 1)
        (folder / "references" / style / "prompt.json").write_text(json.dumps(dict(enumerate(prompts))))
    (folder / "tiny.yaml").write_text(f"name: tiny\nstyles: {json.dumps(PROMPTS)}\n")
    return Runner(folder)
