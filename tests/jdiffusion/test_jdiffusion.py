"""JDiffusion itself, beside jdart's own engine: pictures of both, LoRAs of each in the other, killed and finished."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from engine_process import engine_of, state
from PIL import Image
from small_contest import PROMPTS, call

from jdart.generation import samplers

pytestmark = pytest.mark.jdiffusion
ROOT = Path(__file__).parents[2]
ENGINES = ("jdart", "jdiffusion")
PATIENCE = 3600  # seconds: kernels may have to be compiled


def pictures(run):
    """The pictures of style 00, (N, S, S, 3), in 0 to 1."""
    paths = [run / "images" / "00" / f"{prompt}.png" for prompt in PROMPTS["00"]]
    return np.stack([np.asarray(Image.open(path).convert("RGB"), np.float64) for path in paths]) / 255


def require_near(one, other):
    """The same but for the last digits of floats, which in a pixel here and there round to the next grey level.

    In the mean over thousands of values the rounded pictures differ as much as those that were rounded.
    """
    difference = np.abs(one - other)
    print(f"mean difference {difference.mean():.2g}, largest {difference.max() * 255:.0f} of 255")
    assert difference.mean() <= 1e-4
    assert difference.max() <= 1.01 / 255


def plain(drawn, engine, sampler="pndm"):
    return pictures(drawn(engine, f"plain-{sampler}", generate={"sampler": sampler, "lora_weight": 0.0}))


def test_a_plain_picture_from_the_same_noise(drawn):
    ours = plain(drawn, "jdart")
    require_near(ours, plain(drawn, "jdiffusion"))
    assert ours.std(axis=(1, 2, 3)).min() > 0.05  # of something


def test_its_unipc_is_the_predictor_alone(drawn, monkeypatch):
    """JDiffusion has left the corrector out, and ends at the noise of timestep 0, as diffusers once did."""
    method = replace(samplers.SAMPLERS["dpmpp_2m"], ends_clean=False)
    monkeypatch.setitem(samplers.SAMPLERS, "dpmpp_2m", method)
    require_near(plain(drawn, "jdart", "dpmpp_2m"), plain(drawn, "jdiffusion", "unipc"))


@pytest.mark.parametrize("teacher", ENGINES)
def test_what_one_engine_has_learnt_the_other_draws(teacher, drawn):
    other = ENGINES[1 - ENGINES.index(teacher)]
    own = drawn(teacher, "learnt")
    taken = drawn(other, "taken", loras=own)
    suffix = {"jdart": ".safetensors", "jdiffusion": ".bin"}[teacher]
    assert [path.suffix for path in (taken / "lora" / "00").glob("pytorch_lora_weights.*")] == [suffix]
    require_near(pictures(own), pictures(taken))
    assert np.abs(pictures(own) - plain(drawn, "jdart")).mean() > 0.005


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Writes a run folder that holds a LoRA of numbers made up, on the layers that a test of their names chooses."""
    from jdart.runtime import start

    start("cpu")
    from jdart.config import BaseConfig
    from jdart.lora.formats.file import LoraFile
    from jdart.lora.formats.writing import save_lora
    from jdart.lora.inspect import shapes_of
    from jdart.lora.pairs import LoraPair
    from jdart.models.hub.locate import open_base

    base, _ = open_base(BaseConfig(model="toy"))

    def make(chosen):
        rng, pairs = np.random.default_rng(3), {}
        for layer, (out, *inner) in shapes_of(base.folder, None)["unet"].items():
            if chosen(layer):
                a = rng.normal(size=(2, *inner)) / np.sqrt(np.prod(inner))
                b = 0.2 * rng.normal(size=(out, 2, *[1] * len(inner[1:])))
                pairs[layer] = LoraPair(a.astype(np.float32), b.astype(np.float32), 3.0)
        run = tmp_path_factory.mktemp("made")
        save_lora(run / "lora" / "00" / "pytorch_lora_weights.safetensors", LoraFile({"unet": pairs}))
        return run

    return make


@pytest.mark.parametrize("layers", ["to_out.0", "all but the first and the last"])
def test_a_lora_of_other_layers_than_it_trains(layers, made, drawn):
    run = made(lambda name: layers in name or (layers[:3] == "all" and name not in ("conv_in", "conv_out")))
    ours, theirs = (pictures(drawn(engine, layers[:3], loras=run)) for engine in ENGINES)
    require_near(ours, theirs)
    assert np.abs(ours - plain(drawn, "jdart")).mean() > 0.005


def test_noise_of_its_own_is_drawn_again(drawn, settings, python, tmp_path):
    path = settings("jdiffusion", tmp_path / "out", generate={"lora_weight": 0.0}, engine={"noise": "seed"})
    result = call("generate", path, "--styles", "00", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert np.abs(pictures(tmp_path / "out") - plain(drawn, "jdiffusion")).mean() > 0.005
    again = call("redraw", tmp_path / "out" / "images" / "00" / "Moon.png", "--device", "cpu")
    assert "byte for byte the same" in again.output, again.output


def wait_for(what, process=None):
    """What `what` returns when that is neither None nor False, while the process lasts."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = what()
        if found is not None and found is not False:
            return found
        assert process is None or process.poll() is None, process.communicate()[0]
        time.sleep(0.01)
    raise AssertionError("waited in vain")


def lasts(number):
    """Whether a process is there, and no zombie."""
    found = state(number)
    return found is not None and found[0] != "Z"


def test_killed_in_the_middle_of_a_style_it_is_finished_by_the_next_run(settings, tmp_path):
    out, train = tmp_path / "out", {"steps": 20}
    path = settings("jdiffusion", out, train=train)
    command = [sys.executable, "-m", "jdart", "run", str(path), "--device", "cpu"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    losses = out / "lora" / "01" / "loss.csv"

    def at_work():
        return losses.exists() and len(losses.read_text().splitlines()) >= 3

    def begin():
        losses.unlink(missing_ok=True)
        return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    with begin() as first:
        wait_for(at_work, first)
        os.kill(engine_of(first.pid), signal.SIGKILL)
        said = first.communicate(timeout=PATIENCE)[0]
    assert first.returncode == 2
    assert "style 01: engine jdiffusion failed: ended by SIGKILL" in said and "Traceback" not in said
    finished = out / "lora" / "00" / "pytorch_lora_weights.bin"
    kept = finished.read_bytes(), finished.stat().st_mtime_ns
    assert not list((out / "lora" / "01").glob("*.bin"))

    with begin() as second:  # jdart itself: its engine does not stay behind
        wait_for(at_work, second)
        engine = engine_of(second.pid)
        second.kill()
        wait_for(lambda: not lasts(engine))
    assert not list((out / "lora" / "01").glob("*.bin"))

    result = call("run", path, "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert (finished.read_bytes(), finished.stat().st_mtime_ns) == kept
    assert len(losses.read_text().splitlines()) == 1 + train["steps"]
    for style, prompts in PROMPTS.items():
        assert {path.stem for path in (out / "images" / style).glob("*.png")} == set(prompts)
    assert (out / "entry.zip").exists()
