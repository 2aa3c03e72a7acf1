"""`generate.colour.finish` by the command line: what is marked, that nothing else moves, and a picture drawn again."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

STYLE = ("--styles", "00")
FINISH = {"finish": {"strength": 0.75}}
UNTRAINED = {"lora_weight": 0.0, "steps": 2}
INJECTED = {"styleid": {"steps": 2}}


@pytest.fixture
def draw(jdart, config, tmp_path):
    """Call with a folder's name and settings of `generate`: the pictures of style 00, drawn there with no LoRA."""

    def call(name, **generate):
        settings = config(score={"weights": None}, generate={**UNTRAINED, **generate})
        result = jdart("generate", settings, *STYLE, "--output", tmp_path / name)
        assert result.exit_code == 0, result.output
        return tmp_path / name / "images" / "00"

    return call


def texts(path):
    with Image.open(path) as image:
        return image.text


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image).astype(int)


@pytest.mark.parametrize("others", [{}, INJECTED], ids=["drawn", "injected"])
def test_finished_pictures_say_so_and_are_drawn_again(others, jdart, draw, tmp_path):
    plain, done = draw("plain", **others), draw("done", colour=FINISH, **others)
    single = draw("single", colour=FINISH, batch_size=1, **others)
    for name in ("Moon.png", "Ice cream.png"):
        said = texts(done / name)
        assert json.loads(said["jdart"])["colour"]["finish"]["strength"] == 0.75
        assert ", Post-processing: colour finish 0.75, Version: jdart" in said["parameters"]
        assert "Post-processing" not in texts(plain / name)["parameters"]
        assert "colour" not in json.loads(texts(plain / name)["jdart"])
        assert np.abs(pixels(done / name) - pixels(plain / name)).max() > 5
        assert np.abs(pixels(done / name) - pixels(single / name)).mean() < 1  # a grey level of a batch's last digits
        again = tmp_path / name
        result = jdart("redraw", done / name, "--output", again)
        assert result.exit_code == 0, result.output
        assert again.read_bytes() == (done / name).read_bytes()
    run = json.loads((tmp_path / "done" / "run.json").read_text())
    assert run["config"]["generate"]["colour"]["finish"]["strength"] == 0.75
    contents = [sorted((tmp_path / name).glob("content/**/*.png")) for name in ("plain", "done")]
    assert [one.read_bytes() for one in contents[0]] == [one.read_bytes() for one in contents[1]]
    assert bool(contents[0]) == bool(others)


def test_references_of_one_colour_are_refused_before_anything_is_drawn(jdart, config, contest, tmp_path):
    for path in (contest / "00" / "images").iterdir():
        with Image.open(path) as image:
            Image.new("RGB", image.size, (9, 90, 200)).save(path)
    settings = config(score={"weights": None}, generate={**UNTRAINED, "colour": FINISH})
    result = jdart("generate", settings, *STYLE)
    assert result.exit_code == 2, result.output
    assert "error: generate.colour.finish: style 00: the style's pictures have one colour only" in result.output
    assert not list((tmp_path / "out").glob("images/**/*.png"))


def test_pictures_that_are_left_out_are_left_out_in_redrawing(jdart, config, contest, tmp_path):
    """Of four pictures one is below data.min_size: the average and the palette are those of the others, both times."""
    Image.new("RGB", (20, 20), (255, 0, 0)).save(contest / "00" / "images" / "dot.png")
    settings = config(
        score={"weights": None}, data={"min_size": 40}, generate={**UNTRAINED, "colour": FINISH, "strength": 0.9}
    )
    assert jdart("generate", settings, *STYLE).exit_code == 0
    picture, again = tmp_path / "out" / "images" / "00" / "Moon.png", tmp_path / "again.png"
    result = jdart("redraw", picture, "--output", again)
    assert result.exit_code == 0, result.output
    assert again.read_bytes() == picture.read_bytes()


CONFIGS = Path(__file__).parents[2] / "configs"


def keeps_quiet(recipe):
    """Whether a recipe finishes pictures and says nowhere that this is post-processing."""
    return "finish:" in recipe and "post-processing" not in recipe.casefold()


def test_a_shipped_recipe_with_a_finish_says_what_that_is():
    assert keeps_quiet("generate:\n  colour:\n    finish: {strength: 1.0}\n")
    assert not keeps_quiet("generate:\n  colour:\n    finish: {}  # Post-processing; read the rules\n")
    recipes = sorted(CONFIGS.rglob("*.yaml"))
    assert recipes
    assert [path.name for path in recipes if keeps_quiet(path.read_text("utf-8"))] == []
