"""`lora.init_from`, LoRAs of another base, and what is said of what is not used."""

import json
import shutil

import pytest
from safetensors.numpy import load_file

from jdart.lora.formats.reading import load_lora

LORA = "lora/00/pytorch_lora_weights.safetensors"
PLAIN = {"weights": None}
STYLE = ("--styles", "00")


def said(result):
    return " ".join(result.output.split())


def refused(result, *words):
    assert result.exit_code == 2, result.output
    errors = [line for line in result.output.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert all(word in errors[0] for word in words), errors[0]


@pytest.fixture
def first(jdart, config, tmp_path):
    """A run folder with a trained LoRA of style 00."""
    folder = tmp_path / "first"
    result = jdart("train", config(score=PLAIN), *STYLE, "--output", folder)
    assert result.exit_code == 0, result.output
    return folder


def test_it_starts_from_the_file_and_notes_it(jdart, config, first, tmp_path):
    source = tmp_path / "good-00.safetensors"
    shutil.copy(first / LORA, source)
    starts = [str(source), str(tmp_path / "good-{style}.safetensors"), str(first)]
    found = []
    for number, start in enumerate(starts):
        out = tmp_path / f"from {number}"
        result = jdart("train", config(score=PLAIN, lora={"init_from": start}), *STYLE, "--output", out)
        assert result.exit_code == 0, result.output
        found.append({name: array.tobytes() for name, array in load_file(out / LORA).items()})
        digest = json.loads((first / "run.json").read_text())["lora"]["00"]["sha256"]
        assert load_lora(out / LORA).settings["init_from"]["sha256"] == digest
        assert json.loads((out / "run.json").read_text())["init_from"] == {"00": digest}
    assert found[0] == found[1] == found[2]
    assert found[0] != {name: array.tobytes() for name, array in load_file(first / LORA).items()}
    still = config(score=PLAIN, lora={"init_from": str(source)}, train={"learning_rate": 1e-13})
    assert jdart("train", still, *STYLE, "--output", tmp_path / "still").exit_code == 0
    for name, array in load_file(tmp_path / "still" / LORA).items():
        assert abs(array - load_file(source)[name]).max() < 1e-9


def test_a_file_that_changed_or_will_not_do_is_told_before_anything_is_trained(jdart, config, first, tmp_path):
    source = tmp_path / "good.safetensors"
    shutil.copy(first / LORA, source)
    path = config(score=PLAIN, lora={"init_from": str(source)})
    assert jdart("train", path, *STYLE).exit_code == 0
    other = config(score=PLAIN, seed=5)
    assert jdart("train", other, *STYLE, "--output", tmp_path / "second").exit_code == 0
    shutil.copy(tmp_path / "second" / LORA, source)
    path = config(score=PLAIN, lora={"init_from": str(source)})
    refused(jdart("train", path, *STYLE), "the file that style 00 starts from", "nothing was touched")
    out = ("--output", tmp_path / "new")
    refused(jdart("train", path, "--set", "lora.r=3", *out), "lora.init_from", "set lora.r: 2")
    refused(jdart("train", path, "--set", "lora.init_from=nowhere.safetensors", *out), "nowhere.safetensors")
    refused(jdart("train", path, "--set", f"lora.init_from={first}", *out), "01", "no such file")
    refused(
        jdart("train", path, "--set", "text_encoder_lora.init_from=x", *out), "lora.init_from names the file of both"
    )
    assert not (tmp_path / "new").exists(), "the cure works in the same folder"


def test_a_style_token_goes_on_from_the_one_beside_the_file(jdart, config, tmp_path):
    from jdart.lora.token import load_token

    token = {"vectors": 1, "learning_rate": 0.05}
    words = {"data": {"template": "an image of {object} in <style>"}, "score": PLAIN}
    first = tmp_path / "first"
    assert jdart("train", config(token=token, **words), *STYLE, "--output", first).exit_code == 0
    slow = {**token, "learning_rate": 1e-12}
    path = config(token=slow, lora={"init_from": str(first)}, **words)
    assert jdart("train", path, *STYLE).exit_code == 0
    before, after = (load_token(out / "lora/00/learned_embeds.safetensors")[1] for out in (first, tmp_path / "out"))
    assert abs(before - after).max() < 1e-6
    refused(jdart("train", path, *STYLE, "--set", "token.vectors=2", "--output", tmp_path / "x"), "token.vectors")


@pytest.fixture
def relative(models, tmp_path):
    """A base of the same shapes with other weights, which predicts the other thing."""
    from jdart.models.presets import write_base

    write_base(tmp_path / "relative", "tiny", seed=2)
    scheduler = tmp_path / "relative" / "scheduler" / "scheduler_config.json"
    settings = json.loads(scheduler.read_text())
    assert settings["prediction_type"] == "v_prediction"
    scheduler.write_text(json.dumps({**settings, "prediction_type": "epsilon"}))
    return tmp_path / "relative"


def test_a_lora_of_another_base_is_used_with_one_warning(jdart, config, first, relative, models, tmp_path, caplog):
    words, strong = "was trained on another base", "to predict v_prediction where this one predicts epsilon"
    there = {"score": PLAIN, "base": {"model": str(relative)}}
    by_hand = tmp_path / "by hand" / LORA
    by_hand.parent.mkdir(parents=True)
    shutil.copy(first / LORA, by_hand)
    extra = {"generate": {"lora_weight": 0.0, "loras": [{"path": str(first / LORA)}]}}
    uses = {
        "borrowed": ("generate", config(**there), *STYLE, "--loras", first, "--output", tmp_path / "borrowed"),
        "by hand": ("generate", config(**there), *STYLE, "--output", tmp_path / "by hand"),
        "started": ("train", config(**there), *STYLE, "--set", f"lora.init_from={first}", "--output", tmp_path / "s"),
        "inspected": ("lora", "inspect", first / LORA, "--base", relative, "--json"),
    }
    uses["named"] = None
    for name, arguments in uses.items():
        if arguments is None:
            arguments = ("generate", config(**there, **extra), *STYLE, "--output", tmp_path / "named")
        caplog.clear()
        result = jdart(*arguments)
        assert result.exit_code == 0, (name, result.output)
        told = said(result) + " ".join(caplog.text.split())
        assert told.count(words) == 1, (name, told)
        assert strong in told, (name, told)
    same = jdart("lora", "inspect", first / LORA, "--base", models / "base")
    assert words not in said(same)


def test_merged_into_another_base_it_is_told(jdart, first, relative, tmp_path, caplog):
    assert jdart("lora", "merge", first / LORA, tmp_path / "merged", "--into", relative).exit_code == 0
    assert caplog.text.count("was trained on another base") == 1


def test_the_files_for_other_programs_lie_beside(jdart, config, tmp_path):
    out = tmp_path / "out"
    path = config(score=PLAIN, train={"also": ["kohya", "bin", "peft"]})
    assert jdart("train", path, *STYLE).exit_code == 0
    folder = out / "lora" / "00"
    names = ["pytorch_lora_weights." + end for end in ("kohya.safetensors", "jdiffusion.bin", "peft")]
    own = load_lora(out / LORA)
    for name, format in zip(names, ("kohya", "bin", "peft")):
        found = load_lora(folder / name)
        assert found.format == format
        assert found.pairs["unet"].keys() == own.pairs["unet"].keys()
        for layer, pair in own.pairs["unet"].items():
            assert abs(found.pairs["unet"][layer].delta - pair.delta).max() < 1e-6
    assert "nothing was done" in jdart("train", path, *STYLE).output
    (folder / names[0]).unlink()
    later = jdart("train", config(score=PLAIN, train={"also": "kohya"}), *STYLE)
    assert later.exit_code == 0, later.output
    before = (folder / names[0]).read_bytes()
    assert jdart("train", path, *STYLE, "--set", "train.steps=4").exit_code == 0
    assert (folder / names[0]).read_bytes() != before
    refused(jdart("train", path, "--set", "train.also=[onnx]"), "train.also: 'onnx'", "kohya, peft, bin")


def test_what_is_given_and_not_used_is_said(jdart, config, first, tmp_path, caplog):
    path = config(
        score=PLAIN,
        train={"lr_warmup_steps": 9, "text_encoder_learning_rate": 0.1},
        prior={"images_per_prompt": 3},
        overrides={"01": {"seed": 1}},
    )
    result = jdart("train", path, *STYLE)
    assert result.exit_code == 0, result.output
    for words in (
        "train.lr_warmup_steps: 9 does nothing with lr_scheduler: constant",
        "train.text_encoder_learning_rate: 0.1 does nothing with text_encoder_lora.r: 0",
        "prior.images_per_prompt: 3 does nothing without prior.weight or prior.mixture",
        "overrides.01: not used",
    ):
        assert words in caplog.text
    plain = config(score=PLAIN)
    assert jdart("generate", plain, *STYLE, "--loras", first, "--output", tmp_path / "new").exit_code == 0
    refused(jdart("generate", plain, "--loras", first, "--output", tmp_path / "new"), "style 01 is not trained yet")
    assert "has no LoRA of 01" in caplog.text
    empty = tmp_path / "references"
    refused(
        jdart("generate", plain, "--loras", empty, "--output", tmp_path / "x"), "no LoRA in it", "leave --loras out"
    )
    refused(jdart("train", plain, "--devices", "cpu", "--device", "cuda"), "leave --device out")
    refused(jdart("train", plain, "--devices", "cpu", "--ray-address", "auto"), "--executor ray")
