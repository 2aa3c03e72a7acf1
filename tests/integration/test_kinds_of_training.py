"""Packed training, a style token and a shared prior, the whole way."""

import json

import numpy as np
import pytest

from jdart.lora.formats.reading import load_lora

PLAIN = {"weights": None}


def snapshot(folder):
    """Every file of a run but the log, with its time."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "compiler.log")
    return {path: path.stat().st_mtime_ns for path in files}


def test_one_lora_for_all_styles(jdart, config, tmp_path):
    out = tmp_path / "out"
    packed = config(train={"packed": True}, score=PLAIN)
    result = jdart("run", packed)
    assert result.exit_code == 0, result.output
    assert [path.name for path in (out / "lora").iterdir()] == ["packed"]
    file = out / "lora" / "packed" / "pytorch_lora_weights.safetensors"
    lora = load_lora(file)
    assert {pair.rank for pair in lora.pairs["unet"].values()} == {2 * 2}
    assert {pair.alpha for pair in lora.pairs["unet"].values()} == {2 * 2}
    assert lora.settings["styles"] == ["00", "01"]
    noted = json.loads((out / "run.json").read_text())["lora"]
    assert noted["00"] == noted["01"]
    assert len(list((out / "images").glob("*/*.png"))) == 4
    before = snapshot(out)
    again = jdart("run", packed)
    assert "nothing was done" in again.output
    assert snapshot(out) == before


def test_a_style_that_was_not_packed_along_is_not_drawn(jdart, config, tmp_path):
    packed = config(train={"packed": True}, score=PLAIN)
    assert jdart("train", packed, "--styles", "00").exit_code == 0
    for command in ("train", "generate"):
        result = jdart(command, packed)
        assert result.exit_code == 2
        assert "was packed without style 01" in result.output.replace("\n", " ")


def test_the_token_is_learnt_kept_and_drawn_with(jdart, config, tmp_path):
    from jdart.lora.token import load_token, save_token  # the fixtures start Jittor first

    out = tmp_path / "out"
    template = "an image of {object} in <style>"
    setting = config(data={"template": template}, token={"vectors": 2, "learning_rate": 0.05}, score=PLAIN)
    result = jdart("run", setting)
    assert result.exit_code == 0, result.output
    words = {style: load_token(out / "lora" / style / "learned_embeds.safetensors") for style in ("00", "01")}
    assert {word for word, _ in words.values()} == {"<style>"}
    assert words["00"][1].shape == (2, 32)
    assert not np.allclose(words["00"][1], words["01"][1])
    picture = out / "images" / "00" / "Moon.png"
    before = picture.read_bytes()
    picture.unlink()
    assert jdart("generate", setting).exit_code == 0
    assert picture.read_bytes() == before
    picture.unlink()
    save_token(out / "lora" / "00" / "learned_embeds.safetensors", "<style>", -5 * words["00"][1])
    assert jdart("generate", setting).exit_code == 0
    assert picture.read_bytes() != before, "generation uses the file"


def test_a_shared_prior_is_that_of_every_style(jdart, config, tmp_path):
    """Also when the run is for one of them."""
    prior = {"mixture": 0.5, "pool": "shared", "images_per_prompt": 1, "steps": 2}
    setting = config(prior=prior, score=PLAIN)
    result = jdart("train", setting, "--styles", "00")
    assert result.exit_code == 0, result.output
    found = {path.name for path in (tmp_path / "out" / "prior").iterdir()}
    names = ("star", "wheat field", "cow", "Moon", "Ice cream", "Dog", "Sun")
    assert found == {f"an image of {name}" for name in names}


@pytest.mark.parametrize("setting", [{"min_timestep": 1000}, {"max_timestep": 1001}])
def test_timesteps_that_the_base_lacks_are_refused(setting, jdart, config):
    result = jdart("train", config(train=setting))
    assert result.exit_code == 2
    assert "this base has 1000 timesteps" in result.output
