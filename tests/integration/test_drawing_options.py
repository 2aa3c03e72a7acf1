"""What can be asked of drawing, by the command line: overrides, candidates, and a picture drawn again."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

PLAIN = {"weights": None}
STYLE = ("--styles", "00")


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def times(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.png")}


def one_line(result, *words):
    assert result.exit_code == 2, result.output
    errors = [line for line in result.output.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert all(word in errors[0] for word in words), errors[0]


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    """Where the LoRA of style 00 lies once the first test has trained it."""
    return tmp_path_factory.mktemp("learnt")


@pytest.fixture
def draw(jdart, config, learnt, tmp_path):
    """Call with a folder's name and changed settings: the pictures of style 00, drawn there with the same LoRA."""

    def call(name, **changes):
        if not (learnt / "lora").exists():
            assert jdart("train", config(score=PLAIN), *STYLE, "--output", learnt).exit_code == 0
        shutil.copytree(learnt / "lora", tmp_path / name / "lora")
        result = jdart("generate", config(score=PLAIN, **changes), *STYLE, "--output", tmp_path / name)
        assert result.exit_code == 0, result.output
        return tmp_path / name / "images" / "00"

    return call


@pytest.fixture
def drawn(draw, tmp_path):
    """Run folder of style 00, trained and drawn with the plain settings."""
    draw("out")
    return tmp_path / "out"


@pytest.mark.parametrize("seed", [7, 0])
def test_an_override_changes_its_picture_alone(seed, draw):
    """It is the picture that the run's own settings would give, were they those: seed 0 and guidance 0 are values."""
    whole = {"seed": 3, "generate": {"batch_size": 1}}
    plain = draw("plain", **whole)
    override = {"00": {"prompts": {"Moon": {"seed": seed, "guidance_scale": 0.0}}}}
    changed = draw("changed", **whole, overrides=override)
    everything = draw("everything", seed=seed, generate={"batch_size": 1, "guidance_scale": 0.0})
    assert (changed / "Ice cream.png").read_bytes() == (plain / "Ice cream.png").read_bytes()
    assert (pixels(changed / "Moon.png") != pixels(plain / "Moon.png")).any()
    assert (changed / "Moon.png").read_bytes() == (everything / "Moon.png").read_bytes()


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"09": {"seed": 1}}, ["overrides.09", "00, 01"]),
        ({"00": {"prompts": {"Mond": {"seed": 1}}}}, ["overrides.00.prompts.Mond", "Moon, Ice cream"]),
        ({"00": {"prompts": {"Moon": {"seed": -1}}}}, ["overrides.00.prompts.Moon.seed", "-1 is below 0"]),
        ({"00": {"prompts": {"Moon": {"origin_scale": 2.0}}}}, ["overrides.00.prompts.Moon.origin_scale", "[0, 1]"]),
    ],
    ids=["style", "prompt", "seed", "range"],
)
def test_overrides_that_cannot_be_are_refused(overrides, words, jdart, config, tmp_path):
    one_line(jdart("generate", config(score=PLAIN, overrides=overrides)), *words)
    assert not (tmp_path / "out").exists()


def test_an_interval_of_guidance_is_noted_and_drawn_again(draw, jdart, config, drawn, tmp_path):
    interval = {"guidance_interval": [0.4, 1]}
    images = draw("interval", generate=interval)
    picture, plain = images / "Moon.png", drawn / "images" / "00" / "Moon.png"
    assert (pixels(picture) != pixels(plain)).any()
    with Image.open(picture) as image, Image.open(plain) as other:
        assert json.loads(image.text["jdart"])["guidance_interval"] == [0.4, 1.0]
        assert "guidance_interval" not in other.text["jdart"]
    run = json.loads((images.parents[1] / "run.json").read_text())
    assert run["config"]["generate"]["guidance_interval"] == [0.4, 1.0]
    result = jdart("redraw", picture, "--output", tmp_path / "again.png")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "again.png").read_bytes() == picture.read_bytes()
    one_line(
        jdart("generate", config(score=PLAIN, generate={"guidance_interval": [0.5, 0.2]})), "no range within [0, 1]"
    )


def test_candidates_leave_the_entrys_pictures_as_they_are(drawn, draw):
    images = draw("two", generate={"num_images_per_prompt": 2})
    for prompt in ("Moon", "Ice cream"):
        first, second = images / f"{prompt}.png", images.parents[1] / "candidates" / "00" / prompt / "1.png"
        assert first.read_bytes() == (drawn / "images" / "00" / f"{prompt}.png").read_bytes()
        assert (pixels(first) != pixels(second)).any()
    assert {path.name for path in images.iterdir()} == {"Moon.png", "Ice cream.png"}
    sheets = {path.name for path in (images.parents[1] / "sheets").iterdir()}
    assert sheets == {"00.png", "00-candidates.png"}
    assert not (drawn / "candidates").exists()


def test_a_rerun_deletes_nothing(jdart, config, draw):
    """Trap 14: what is missing is drawn, the same, and what is there keeps its time."""
    settings = {"generate": {"num_images_per_prompt": 2}}
    folder = draw("two", **settings).parents[1]
    (folder / "images" / "00" / "notes.txt").write_text("mine")
    before, (gone, other) = times(folder), ("images/00/Moon.png", "candidates/00/Ice cream/1.png")
    kept = {name: (folder / name).read_bytes() for name in (gone, other)}
    for name in kept:
        (folder / name).unlink()
    assert jdart("generate", config(score=PLAIN, **settings), *STYLE, "--output", folder).exit_code == 0
    after = times(folder)
    assert after.keys() == before.keys()
    redone = {path for path in before if before[path] != after[path]}
    assert {folder / name for name in kept} <= redone
    assert redone <= {folder / name for name in kept} | set((folder / "sheets").iterdir())
    assert all((folder / name).read_bytes() == data for name, data in kept.items())
    assert (folder / "images" / "00" / "notes.txt").read_text() == "mine"


def test_a_run_from_before_a_setting_goes_on(jdart, config, drawn):
    manifest = drawn / "run.json"
    run = json.loads(manifest.read_text())
    del run["config"]["generate"]["origin_scale"]
    manifest.write_text(json.dumps(run))
    picture = drawn / "images" / "00" / "Moon.png"
    before = picture.read_bytes()
    picture.unlink()
    assert jdart("generate", config(score=PLAIN), *STYLE).exit_code == 0
    assert picture.read_bytes() == before
    result = jdart("generate", config(score=PLAIN, generate={"origin_scale": 0.5}), *STYLE)
    one_line(result, "generate.origin_scale: 0.0 -> 0.5")


def test_every_picture_can_be_drawn_again(jdart, drawn, tmp_path):
    """Byte for byte, wherever it was in its batch."""
    for prompt in ("Moon", "Ice cream"):
        picture = drawn / "images" / "00" / f"{prompt}.png"
        result = jdart("redraw", picture, "--output", tmp_path / f"{prompt}.png")
        assert result.exit_code == 0, result.output
        assert "byte for byte the same" in result.output.replace("\n", " ")
        assert (tmp_path / f"{prompt}.png").read_bytes() == picture.read_bytes()


def test_generate_from_a_picture_is_redraw(jdart, config, drawn, tmp_path):
    picture, again = drawn / "images" / "00" / "Moon.png", tmp_path / "again.png"
    result = jdart("generate", "--from", picture, "--output", again, "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert again.read_bytes() == picture.read_bytes()
    one_line(jdart("generate", "--from", picture, "--output", again), "again.png is there already")
    for more in ((config(score=PLAIN),), STYLE, ("--set", "seed=1"), ("--devices", "cpu"), ("--executor", "ray")):
        one_line(jdart("generate", "--from", picture, *more), "--from", "leave out")
    assert jdart("generate").exit_code == 2


def test_a_picture_with_other_pixels_is_found_out(jdart, drawn, tmp_path):
    picture = drawn / "images" / "00" / "Moon.png"
    with Image.open(picture) as image:
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        for key, text in image.text.items():
            info.add_text(key, text)
        changed = np.array(image)
        changed[3, 4] ^= 255
        Image.fromarray(changed).save(picture, pnginfo=info)
    result = jdart("redraw", picture)
    assert result.exit_code == 1, result.output
    assert "1 pixels differ" in result.output.replace("\n", " ")


def test_a_picture_away_from_its_run_needs_to_be_told_where_things_are(jdart, drawn, contest, models, tmp_path):
    moved = tmp_path / "elsewhere" / "picture.png"
    moved.parent.mkdir()
    (drawn / "images" / "00" / "Moon.png").rename(moved)
    lora = drawn / "lora" / "00" / "pytorch_lora_weights.safetensors"
    named = []
    for option, value in (("--base", models / "base"), ("--lora", lora), ("--references", contest)):
        one_line(jdart("redraw", moved, *named), option)
        named += [option, value]
    result = jdart("redraw", moved, *named)
    assert result.exit_code == 0, result.output


def test_what_is_no_picture_of_ours_is_refused(jdart, contest, tmp_path):
    one_line(jdart("redraw", tmp_path / "none.png"), "none.png", "no such file")
    one_line(jdart("redraw", contest / "00" / "images" / "cow.png"), "cow.png", "says nothing")
    one_line(jdart("redraw", contest / "00" / "prompt.json"), "prompt.json", "not a readable picture but a JSON file")
    pointer = tmp_path / "pointer.png"
    pointer.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{7:064d}\nsize 7000\n")
    one_line(jdart("redraw", pointer), "pointer.png", "git lfs pull")


def test_a_picture_with_a_style_token_can_be_drawn_again(jdart, config, tmp_path):
    path = config(data={"template": "an image of {object} in <style>"}, token={"vectors": 2}, score=PLAIN)
    for command in ("train", "generate"):
        assert jdart(command, path, *STYLE).exit_code == 0
    result = jdart("redraw", tmp_path / "out" / "images" / "00" / "Moon.png")
    assert result.exit_code == 0, result.output
    assert "byte for byte the same" in result.output.replace("\n", " ")
    (tmp_path / "out" / "lora" / "00" / "learned_embeds.safetensors").rename(tmp_path / "away.safetensors")
    one_line(jdart("redraw", tmp_path / "out" / "images" / "00" / "Moon.png"), "style token", "--lora")
