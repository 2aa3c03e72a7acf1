"""The real JDiffusion, in an environment of its own: `make jdiffusion`, with its interpreter in JDIFFUSION_PYTHON.

What its Jittor compiles is kept where any run keeps it, below $JDART_CACHE: the first time takes long.
"""

import os
import sys
from pathlib import Path

import pytest
import yaml

sys.path.append(str(Path(__file__).parents[1] / "integration"))
from small_contest import call, write_contest


@pytest.fixture(scope="session")
def python():
    """The interpreter of an environment that `jdart engine install jdiffusion DIR` has made."""
    path = os.environ.get("JDIFFUSION_PYTHON", "")
    if not path:
        pytest.skip("JDIFFUSION_PYTHON names no interpreter; jdart engine install jdiffusion DIR makes one")
    return path


@pytest.fixture(scope="session")
def settings(python, tmp_path_factory):
    """Writes a configuration that both engines can do; call with the engine's name, its run folder and changes."""
    contest = write_contest(tmp_path_factory.mktemp("contest") / "references")

    def write(who, folder, **changes):
        raw = {
            "name": "small",
            "references": str(contest),
            "output": str(folder),
            "base": {"model": "toy"},
            "data": {"size": 64, "instance_prompt": "style_{id}", "template": "{object} in style_{id}"},
            "lora": {"r": 2, "target_modules": ["to_q", "to_k", "to_v"]},
            "train": {"steps": 6, "batch_size": 2, "learning_rate": 0.005, "max_grad_norm": None},
            "generate": {"sampler": "pndm", "steps": 4, "guidance_scale": 2.0, "batch_size": 2},
        }
        if who != "jdart":
            raw["engine"] = {"name": who, "python": python}
        for section, value in changes.items():
            raw[section] = {**raw[section], **value}
        path = folder.with_suffix(".yaml")
        path.write_text(yaml.safe_dump(raw))
        return path

    return write


@pytest.fixture(scope="session")
def drawn(settings, tmp_path_factory):
    """Draws style 00, having learnt it where there is no LoRA to take; returns the run folder. Done once for each."""
    place, done = tmp_path_factory.mktemp("drawn"), {}

    def draw(engine, name, loras=None, **changes):
        if (engine, name) not in done:
            folder = place / f"{engine}-{name}"
            words = [settings(engine, folder, **changes), "--styles", "00", "--device", "cpu"]
            result = call("run", *words, *([] if loras is None else ["--loras", loras]))
            assert result.exit_code == 0, result.output
            done[engine, name] = folder
        return done[engine, name]

    return draw
