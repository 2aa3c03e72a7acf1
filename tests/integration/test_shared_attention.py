"""StyleAligned and visual style prompting by the command line: noted, drawn again, refused where they cannot be."""

import json

import pytest
from PIL import Image

STYLE = ("--styles", "00")
UNTRAINED = {"lora_weight": 0.0, "steps": 4}
ALIGNED = {"style_aligned": {"reference": "star.png", "prompt": "a star"}}
PROMPTING = {"style_prompting": {"layers": [-1], "reference": "average"}}
MORE = {"colour": {"transport": {}}, "styleid": {"steps": 2}, "strength": None, "guidance_scale": 1.0}


@pytest.fixture
def generate(jdart, config, tmp_path):
    """Call with a folder's name, settings of `generate` and others: the result of drawing style 00 there."""

    def call(name, settings, **others):
        path = config(score={"weights": None}, generate={**UNTRAINED, **settings}, **others)
        return jdart("generate", path, *STYLE, "--output", tmp_path / name)

    return call


def notes(path):
    with Image.open(path) as image:
        return json.loads(image.text["jdart"])


@pytest.mark.parametrize("settings", [ALIGNED, PROMPTING, {**ALIGNED, **MORE}], ids=["aligned", "prompting", "more"])
def test_pictures_say_so_and_are_drawn_again(settings, jdart, generate, tmp_path):
    result = generate("out", settings)
    assert result.exit_code == 0, result.output
    name = next(iter(settings))
    for picture in sorted((tmp_path / "out" / "images" / "00").iterdir()):
        said = notes(picture)
        assert said[name]["reference"] == settings[name]["reference"] and len(said["pictures"]) == 3
        result = jdart("redraw", picture, "--output", tmp_path / picture.name)
        assert result.exit_code == 0, result.output
        assert (tmp_path / picture.name).read_bytes() == picture.read_bytes()
    assert name in json.loads((tmp_path / "out" / "run.json").read_text())["config"]["generate"]


def test_without_them_nothing_says_so_and_an_override_is_its_prompts_alone(generate, tmp_path):
    assert generate("plain", {"batch_size": 1}).exit_code == 0
    override = {"00": {"prompts": {"Moon": ALIGNED}}}
    assert generate("changed", {"batch_size": 1}, overrides=override).exit_code == 0
    plain, changed = (tmp_path / name / "images" / "00" for name in ("plain", "changed"))
    assert "style" in notes(plain / "Moon.png") and not {"style_aligned", "pictures"} & set(notes(plain / "Moon.png"))
    assert "style_aligned" not in (tmp_path / "plain" / "run.json").read_text()
    assert (plain / "Ice cream.png").read_bytes() == (changed / "Ice cream.png").read_bytes()
    assert notes(changed / "Moon.png")["style_aligned"]["prompt"] == "a star"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"style_aligned": {"reference": "sta.png"}}, "generate.style_aligned.reference: 'sta.png' is no picture of"),
        ({"style_prompting": {"layers": [0, 4]}}, "generate.style_prompting.layers: 4; this base has"),
        ({"style_prompting": {"layers": ["up"]}}, "generate.style_prompting.layers: ['up'] is not a list of whole"),
        ({"style_prompting": {"first": 0.9, "last": 0.95}}, "generate.style_prompting.first, last: none of "),
        ({"style_aligned": {"scale": -1}}, "generate.style_aligned.scale: -1.0 is not in (0, 10]"),
        ({"style_aligned": {"strength": 1}}, "generate.style_aligned.strength: unknown setting"),
        ({**ALIGNED, **PROMPTING}, "generate.style_aligned, style_prompting: both change the same attentions"),
        ({"styleid": {"reference": "sta.png"}}, "generate.styleid.reference: 'sta.png' is no picture of"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_computed(settings, said, generate, tmp_path):
    result = generate("out", settings)
    assert result.exit_code == 2, result.output
    (error,) = [line for line in result.output.splitlines() if line.startswith("error: ")]
    assert said in error
    assert not (tmp_path / "out").exists()
