"""`jdart export diffusers`: its script draws on PyTorch what jdart drew on Jittor."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from contest.errors import UserError
from jdart.exporting.scheduler import require_same_path, scheduler_config

TOKEN = "an image of {object} in <style>"


@pytest.fixture(scope="session")
def lora(models, tmp_path_factory):
    """A LoRA on every attention of both networks that changes a picture visibly."""
    from jdart.lora.formats.file import LoraFile
    from jdart.lora.formats.writing import save_lora
    from jdart.lora.inspect import shapes_of
    from jdart.lora.pairs import LoraPair

    rng, pairs = np.random.default_rng(0), {}
    for network, shapes in shapes_of(models / "base", None).items():
        pairs[network] = {
            name: LoraPair(*(0.3 * rng.standard_normal(s).astype(np.float32) for s in sides), 4.0)
            for name, shape in shapes.items()
            if name.endswith(("to_q", "to_v", "to_out.0", "q_proj", "out_proj"))
            for sides in [((2, shape[1]), (shape[0], 2))]
        }
    path = tmp_path_factory.mktemp("lora") / "pytorch_lora_weights.safetensors"
    save_lora(path, LoraFile(pairs))
    return path


@pytest.fixture
def drawn(config, jdart, lora, tmp_path):
    """Draws a run with that LoRA in both styles; call with changes of `generate` and others."""

    def draw(**changes):
        generate = {
            "strength": None,
            "sampler": "pndm",
            "steps": 4,
            "guidance_scale": 4.0,
            **changes.pop("generate", {}),
        }
        for style in ("00", "01"):
            place = tmp_path / "out" / "lora" / style / lora.name
            place.parent.mkdir(parents=True)
            shutil.copyfile(lora, place)
            if "token" in changes:
                vectors = 3 * np.random.default_rng(int(style)).standard_normal((2, 32)).astype(np.float32)
                save_file({"<style>": vectors}, place.with_name("learned_embeds.safetensors"))
        done = jdart("generate", config(generate=generate, **changes))
        assert done.exit_code == 0, done.output
        return tmp_path / "out"

    return draw


def picture(path):
    return np.asarray(Image.open(path)).astype(int)


@pytest.mark.parametrize(
    ("generate", "overrides"),
    [
        (
            {"negative_prompt": "blurred", "guidance_rescale": 0.5, "num_images_per_prompt": 2},
            {"01": {"lora_weight": 0.5, "prompts": {"Sun": {"guidance_scale": 1.0}}}},
        ),
        ({"sampler": "euler", "start": {"leak": "pixel"}}, {"01": {"strength": 0.7}}),
    ],
    ids=[
        "pndm, all settings",
        "euler, style tokens, skipped layers, a drawn signal, in one style less noise",
    ],
)
def test_the_script_draws_the_same_pictures(generate, overrides, drawn, jdart, tmp_path):
    whole = "negative_prompt" in generate
    words = {"token": {"vectors": 2}, "data": {"size": 32, "template": TOKEN}, "base": {"clip_skip": 1}}
    run = drawn(generate=generate, overrides=overrides, **({} if whole else words))
    done = jdart("export", "diffusers", run)
    assert done.exit_code == 0, done.output
    out = run / "diffusers"
    assert f"python {out / 'draw.py'}" in done.output
    alone = tmp_path / "elsewhere"
    out.rename(alone)
    result = subprocess.run([sys.executable, alone / "draw.py"], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    ours = sorted(path.relative_to(run) for place in ("images", "candidates") for path in (run / place).rglob("*.png"))
    assert len(ours) == 4 * generate.get("num_images_per_prompt", 1)
    different = [np.abs(picture(run / path) - picture(alone / path)).max() for path in ours]
    assert max(different) <= 1, different
    groups = json.loads((alone / "pictures.json").read_text())["groups"]
    assert len(groups) == (3 if whole else 2)
    layers = {name.split(".")[4] for name in load_file(alone / groups[0]["lora"]) if name.startswith("text_encoder.")}
    assert layers == ({"0", "1"} if whole else {"0"})
    text = alone / "base" / "text_encoder"
    assert json.loads((text / "config.json").read_text())["num_hidden_layers"] == len(layers)
    assert any("layers.1." in name for name in load_file(text / "model.safetensors")) is whole


@pytest.mark.parametrize("sampler", ["ddim", "pndm", "dpmpp_2m", "unipc", "euler"])
@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
@pytest.mark.parametrize("strength", [None, 0.7])
def test_a_scheduler_that_would_draw_otherwise_is_refused(sampler, spacing, strength):
    """diffusers' stride is another where the timesteps are not spaced by T // n: see jdart.generation.samplers."""
    from jdart.config import GenerateConfig
    from jdart.models.presets import V_PREDICTION
    from jdart.models.schedule import NoiseSchedule

    raw = {**V_PREDICTION, "timestep_spacing": spacing}
    schedule = NoiseSchedule.from_config(raw)
    settings = GenerateConfig(sampler=sampler, steps=10, strength=strength)
    if sampler in ("ddim", "pndm") and spacing == "linspace":
        with pytest.raises(UserError, match=r"generate\.steps, or generate\.sampler: "):
            require_same_path(schedule, scheduler_config(raw, sampler), settings)
    else:
        require_same_path(schedule, scheduler_config(raw, sampler), settings)


def test_what_diffusers_cannot_do_is_refused(drawn, jdart, tmp_path):
    run = drawn()
    manifest = run / "run.json"
    said = json.loads(manifest.read_text())

    def refused(words, **changes):
        config = {**said["config"], **{k: v for k, v in changes.items() if k != "generate"}}
        config["generate"] = {**config["generate"], **changes.get("generate", {})}
        manifest.write_text(json.dumps({**said, "config": config}))
        done = jdart("export", "diffusers", tmp_path / "new", "--run", run)
        assert done.exit_code == 2, done.output
        assert words in done.output
        assert len(done.output.strip().splitlines()) == 1
        assert not (tmp_path / "new").exists()

    refused("generate.styleid: diffusers cannot", generate={"styleid": {"steps": 5}})
    refused("generate.guidance_rescale", generate={"strength": 0.7, "guidance_rescale": 0.5})
    refused("generate.origin_scale", generate={"origin_scale": 0.5})
    refused("generate.colour: diffusers", generate={"colour": {"finish": {}}})
    refused("generate.style_aligned: diffusers", overrides={"00": {"style_aligned": {}}})
    refused("generate.guidance_interval: diffusers", generate={"guidance_interval": [0.0, 0.5]})
    refused("generate.guidance_scale", generate={"guidance_scale": 0.5})
    refused("memory.vae_tile", memory={"vae_tile": 64}, data={**said["config"]["data"], "size": 128})
    refused("memory.storage_dtype", memory={"storage_dtype": "float16"})
    refused("generate.origin_scale", overrides={"00": {"prompts": {"Moon": {"origin_scale": 0.5}}}})
    (run / "lora" / "01" / "pytorch_lora_weights.safetensors").unlink()
    refused("style 01 is not trained yet")
    manifest.unlink()
    done = jdart("export", "diffusers", run)
    assert (done.exit_code, "no run.json in it" in done.output) == (2, True)
