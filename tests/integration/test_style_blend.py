"""StyleBlend's recipe by the command line: pictures by SDEdit, CLIP's choice, a text LoRA, drawing in two branches."""

import hashlib
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from contest.reading import contest_from_references
from submission import build, verify

STYLE = ("--styles", "00")
COMPOSITION = {"pictures": 3, "keep": 2, "sampling_steps": 2, "steps": 3, "r": 2, "learning_rate": 0.01}
# two self-attentions of the miniature lie outside the middle
SETTINGS = {"train": {"composition": COMPOSITION}, "generate": {"style_blend": {"middle_first": 0.3}}}


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_the_whole_recipe(jdart, config, contest, tmp_path):
    out = tmp_path / "out"
    result = jdart("train", config(**SETTINGS), *STYLE)
    assert result.exit_code == 0, result.output
    lora = out / "composition" / "lora" / "00" / "pytorch_lora_weights.safetensors"
    drawn = sorted((out / "composition" / "pictures" / "00").rglob("*.png"))
    assert len(drawn) == 9 and lora.exists()
    chosen = json.loads((out / "composition" / "pictures" / "00" / "kept.json").read_text())
    assert {name: len(likeness) for name, likeness in chosen.items()} == {"star": 3, "wheat_field": 3, "cow": 3}
    run = json.loads((out / "run.json").read_text())
    place = "composition/lora/00/pytorch_lora_weights.safetensors"
    assert run["composition"] == {"00": {"file": place, "sha256": hashlib.sha256(lora.read_bytes()).hexdigest()}}
    first = lora.read_bytes(), {path: path.stat().st_mtime_ns for path in drawn}

    assert jdart("generate", config(**SETTINGS), *STYLE).exit_code == 0
    picture = out / "images" / "00" / "Moon.png"
    notes = json.loads(Image.open(picture).text["jdart"])
    assert notes["composition_prompt"] == "an image of Moon in the style of &"
    result = jdart("redraw", picture, "--output", tmp_path / "again.png")
    assert "byte for byte the same" in result.output.replace("\n", " ")

    assert jdart("train", config(**SETTINGS), *STYLE).exit_code == 0
    assert (lora.read_bytes(), {path: path.stat().st_mtime_ns for path in drawn}) == first, "nothing is done twice"

    plain = tmp_path / "plain"
    arguments = (config(), *STYLE, "--output", plain, "--loras", out)
    assert jdart("generate", *arguments).exit_code == 0
    alone = plain / "images" / "00" / "Moon.png"
    assert (pixels(alone) != pixels(picture)).any()
    assert "composition" not in Image.open(alone).text["jdart"] and not (plain / "composition").exists()
    assert "composition" not in json.loads((plain / "run.json").read_text())

    borrowed = tmp_path / "borrowed"
    arguments = (config(**SETTINGS), *STYLE, "--output", borrowed, "--loras", out)
    assert jdart("generate", *arguments).exit_code == 0
    assert (borrowed / "images" / "00" / "Moon.png").read_bytes() == picture.read_bytes()
    assert not (borrowed / "composition" / "pictures").exists(), "learnt once"

    assert build(borrowed, None, tmp_path / "entry.zip", include_weights=True).state == "written"
    with zipfile.ZipFile(tmp_path / "entry.zip") as archive:
        assert archive.read(place) == lora.read_bytes()
    assert verify(tmp_path / "entry.zip", contest_from_references(contest).subset(["00"])) == []


@pytest.mark.parametrize(
    ("command", "changes", "words"),
    [
        ("train", {"generate": {"style_blend": {}}}, ["generate.style_blend", "train.composition"]),
        ("train", {"train": {"composition": {"keep": 20}}}, ["train.composition.keep: 20 of 15"]),
        ("train", {"train": {"composition": {}}, "score": {"weights": None}}, ["composition.keep", "score.weights"]),
        ("generate", SETTINGS, ["not trained", "jdart train"]),
        (
            "train",
            {"train": {"composition": {}}, "generate": {"style_blend": {}, "styleid": {}}},
            ["style_blend, styleid", "null"],
        ),
    ],
    ids=["alone", "keep", "no CLIP", "not trained", "with StyleID"],
)
def test_what_cannot_be_is_one_line(command, changes, words, jdart, config, tmp_path):
    result = jdart(command, config(**changes), *STYLE)
    assert result.exit_code == 2, result.output
    errors = [line for line in result.output.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and all(word in errors[0] for word in words), errors
    assert not list((tmp_path / "out").rglob("*.png"))


def test_the_plan_counts_a_composition_and_measures_methods_that_come_late(jdart, config, tmp_path, measured_once):
    """A method that works in the last steps alone is measured, too, in a run of one step."""
    generate = {**SETTINGS["generate"], "steps": 20, "colour": {"guidance": {"through": "linear"}}}
    result = jdart("plan", config(**{**SETTINGS, "generate": generate}), *STYLE, "--json", "--device", "cpu")
    assert result.exit_code == 0, result.output
    plan, costs = json.loads(result.output), json.loads(result.output)["costs"]
    assert costs["composition_step"] > 0 and costs["plain_call"] > 0
    assert plan["lora_bytes"] == costs["lora"] + costs["composition_lora"] > costs["lora"]
    alone = costs["style"] + 3 * costs["encoding"] + 3 * costs["step"]
    # nine pictures, one in each batch, of two steps at .75 to .85: one call each
    drawn = 9 * (costs["batch"] + costs["plain_call"] + costs["encoding"])
    assert plan["training_seconds"] == pytest.approx(alone + drawn + 3 * costs["composition_step"])
    assert not (tmp_path / "out").exists()
