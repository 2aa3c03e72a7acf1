"""A base as one file, another VAE, skipped layers and a set prediction type, through the command line."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

sys.path.insert(0, str(Path(__file__).parents[1] / "jdart" / "models"))
from original_names import as_one_file, presets

ASSUMED = "v_prediction is assumed; if pictures are noise, set base.prediction_type: epsilon"
PLAIN = {"sampler": "ddim", "steps": 2, "strength": None, "guidance_scale": 2.0, "lora_weight": 0.0}


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    """A miniature in diffusers' layout, `folder`; the same as one file, `one.safetensors`; another VAE."""
    from jdart.models.presets import PRESETS, write_base
    from jdart.runtime import start

    start("cpu")
    place = tmp_path_factory.mktemp("bases")
    with pytest.MonkeyPatch.context() as there:
        there.setitem(PRESETS, "one", presets(2))
        write_base(place / "folder", "one", seed=4)
    tensors = as_one_file(place / "folder", 2)
    save_file(tensors, place / "one.safetensors")
    vae = {name: array * np.float32(0.9) for name, array in tensors.items() if name.startswith("first_stage_model.")}
    save_file(vae, place / "vae.safetensors")
    return place


def pictures(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted((folder / "images").rglob("*.png"))}


def test_pictures_of_the_file_are_those_of_the_folder_to_the_byte(jdart, config, bases, tmp_path, caplog):
    found = []
    for name in ("folder", "one.safetensors"):
        path = config(base={"model": str(bases / name)}, generate=PLAIN, score={"weights": None})
        drawn = jdart("generate", path, "--output", tmp_path / name, "--styles", "00")
        assert drawn.exit_code == 0, drawn.output
        assert (ASSUMED in caplog.text) is ("one" in name)
        found.append(pictures(tmp_path / name))
    assert len(found[0]) == 2
    assert found[0] == found[1]
    moved = tmp_path / "Moon.png"
    shutil.copyfile(tmp_path / "folder" / "images" / "00" / "Moon.png", moved)
    again = jdart("redraw", moved, "--base", bases / "one.safetensors")
    assert again.exit_code == 0, again.output


def test_what_is_set_of_the_base_is_noted_and_drawn_with_again(jdart, config, bases, tmp_path, caplog):
    base = {"model": str(bases / "one.safetensors"), "vae": str(bases / "vae.safetensors")}
    base = {**base, "clip_skip": 1, "prediction_type": "epsilon"}
    learnt = {"train": {"steps": 1, "batch_size": 1}, "text_encoder_lora": {"r": 2}}
    path = config(base=base, generate={**PLAIN, "lora_weight": 1.0}, score={"weights": None}, **learnt)
    drawn = jdart("run", path, "--styles", "00")
    assert drawn.exit_code == 0, drawn.output
    assert ASSUMED not in caplog.text
    run = tmp_path / "out"
    assert json.loads((run / "run.json").read_text())["config"]["base"] == {**base, "revision": None}
    picture = run / "images" / "00" / "Moon.png"
    text = Image.open(picture).text
    assert json.loads(text["jdart"])["base_settings"] == {"clip_skip": 1, "prediction_type": "epsilon"}
    assert "Clip skip: 2" in text["parameters"]
    assert jdart("redraw", picture).exit_code == 0
    moved = tmp_path / "Moon.png"
    shutil.copyfile(picture, moved)
    lora = run / "lora" / "00" / "pytorch_lora_weights.safetensors"
    alone = jdart("redraw", moved, "--base", base["model"], "--lora", lora)
    assert alone.exit_code == 2
    assert (
        "other weights than the picture was drawn with; name the base model with --base, and with --vae" in alone.output
    )
    whole = jdart("redraw", moved, "--base", base["model"], "--vae", base["vae"], "--lora", lora)
    assert whole.exit_code == 0, whole.output
    for change in ("base.clip_skip=0", "base.prediction_type=null", "base.vae=null"):
        other = jdart("generate", path, "--set", change)
        assert other.exit_code == 2
        assert "was made with other settings" in other.output


def test_every_command_that_names_a_base_takes_the_file(jdart, config, bases, tmp_path):
    from jdart.lora.formats.file import LoraFile
    from jdart.lora.formats.writing import save_lora
    from jdart.lora.pairs import LoraPair

    one = bases / "one.safetensors"
    pair = LoraPair(np.ones((2, 64), np.float32), np.ones((64, 2), np.float32), 2.0)
    layer = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
    save_lora(tmp_path / "lora.safetensors", LoraFile({"unet": {layer: pair}, "text_encoder": {}}))
    shown = json.loads(jdart("lora", "inspect", tmp_path / "lora.safetensors", "--base", one, "--json").stdout)
    assert shown["left_over"] == []
    merged = jdart("lora", "merge", tmp_path / "lora.safetensors", tmp_path / "merged", "--into", one)
    assert merged.exit_code == 0, merged.output
    before, after = (
        load_file(next((place / "unet").glob("*.safetensors"))) for place in (bases / "folder", tmp_path / "merged")
    )
    assert [name for name in before if not np.array_equal(before[name], after[name])] == [f"{layer}.weight"]
    assert jdart("data", config(base={"model": str(one)})).exit_code == 0

    def base_of(name):
        findings = json.loads(jdart("doctor", "--base", name, "--json").stdout)
        return next(finding for finding in findings if finding["name"] == "base model")

    needs = jdart("doctor", "--for", config(base={"model": str(one)}), "--quick", "--device", "cpu", "--json")
    said = {finding["name"]: finding for finding in json.loads(needs.stdout)}
    assert said["precision of the base"]["found"] == "float32; in the files unet F32, vae F32, text_encoder F32"
    assert said["path: base.model"]["status"] == "ok"
    assert base_of(one)["status"] == base_of(bases / "folder")["status"] == base_of("me/mine")["status"] == "ok"
    found = base_of(tmp_path / "lora.safetensors")
    assert (found["status"], found["cure"]) == ("fail", "name it in generate.loras")
    assert "a LoRA file" in found["found"]
