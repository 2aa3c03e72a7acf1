"""Image prompts by the command line: noted, drawn again from the run or from files alone, refused in one line."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "jdart" / "image_prompts"))
from miniature_adapters import KINDS, adapter, clip_folder, picture, save

STYLE = ("--styles", "00")
UNTRAINED = {"lora_weight": 0.0, "strength": None}


@pytest.fixture(scope="module")
def public(models, tmp_path_factory):
    """A folder as public adapters come in: their files, and the image encoder beside them; two pictures."""
    from diffusers import UNet2DConditionModel

    folder = tmp_path_factory.mktemp("public")
    unet = UNet2DConditionModel.from_pretrained(models / "base" / "unet")
    for kind in KINDS:
        save(adapter(kind, unet), folder / f"{kind}.bin")
    save(adapter("base", unet, words=48), folder / "other.safetensors")
    clip_folder(folder / "image_encoder")
    for number in range(2):
        Image.fromarray(picture(number)).save(folder / f"{number}.png")
    (folder / "text.png").write_text("no picture")
    return folder


@pytest.fixture
def generate(jdart, config, tmp_path):
    """Call with a folder's name, settings of `generate.ip_adapter` and others: the result of drawing style 00 there."""

    def call(name, images, generate=(), **others):
        path = config(score={"weights": None}, generate={**UNTRAINED, **dict(generate), "ip_adapter": images}, **others)
        return jdart("generate", path, *STYLE, "--output", tmp_path / name)

    return call


def notes(path):
    with Image.open(path) as image:
        return json.loads(image.text["jdart"])


def two(public):
    return [{"path": str(public / "0.png")}, {"path": str(public / "1.png"), "weight": 0.5}]


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_say_so_and_are_drawn_again(kind, public, jdart, generate, tmp_path):
    settings = {"weights": str(public / f"{kind}.bin"), "layers": [{"name": "up", "weight": 0.8}]}
    if kind != "full":  # which sees the style's own pictures
        settings["images"] = two(public)
    result = generate("out", settings)
    assert result.exit_code == 0, result.output
    assert "Loading weights" not in result.output
    said = json.loads((tmp_path / "out" / "run.json").read_text())["config"]["generate"]["ip_adapter"]
    assert said["weights"] == settings["weights"] and said["layers"] == settings["layers"]
    for drawn in sorted((tmp_path / "out" / "images" / "00").iterdir()):
        told = notes(drawn)
        assert told["ip_adapter"]["weights"] == f"{kind}.bin", "names, not places"
        assert len(told["image_prompt"]["images"]) == (3 if kind == "full" else 2)
        assert str(public) not in json.dumps(told)
        result = jdart("redraw", drawn, "--output", tmp_path / drawn.name)
        assert result.exit_code == 0, result.output
        assert (tmp_path / drawn.name).read_bytes() == drawn.read_bytes()
    again = generate("out", settings)
    assert "nothing was done" in again.output


def test_a_picture_alone_is_drawn_again_from_the_files_that_are_named(public, jdart, generate, models, tmp_path):
    assert generate("out", {"weights": str(public / "base.bin"), "images": two(public)}).exit_code == 0
    alone = tmp_path / "alone" / "Moon.png"
    alone.parent.mkdir()
    shutil.copy(tmp_path / "out" / "images" / "00" / "Moon.png", alone)
    named = []
    for option, value, said in (
        ("--base", models / "base", "name the base model with --base"),
        ("--lora", public / "base.bin", "its IP-Adapter base.bin (SHA-256"),
        ("--image-encoder", public / "image_encoder", "name its folder with --image-encoder"),
        ("--image", public / "0.png", "2 pictures of its image prompt are not there; name them with --image"),
        ("--image", public / "1.png", "1 pictures of its image prompt are not there"),
    ):
        result = jdart("redraw", alone, *named)
        assert result.exit_code == 2 and said in result.output.replace("\n", " "), result.output
        named += [option, value]
    result = jdart("redraw", alone, *named)
    assert result.exit_code == 0 and "byte for byte" in result.output.replace("\n", " "), result.output


def test_an_override_is_its_prompts_alone_and_off_is_as_before(public, jdart, generate, config, tmp_path):
    images = {"weights": str(public / "base.bin"), "scale": 0.7}
    overrides = {"00": {"prompts": {"Moon": {"ip_adapter": images}}}}
    assert generate("changed", None, {"batch_size": 1}, overrides=overrides).exit_code == 0
    path = config(score={"weights": None}, generate={**UNTRAINED, "batch_size": 1}, overrides={})
    assert jdart("generate", path, *STYLE, "--output", tmp_path / "plain").exit_code == 0
    plain, changed = (tmp_path / name / "images" / "00" for name in ("plain", "changed"))
    assert (plain / "Ice cream.png").read_bytes() == (changed / "Ice cream.png").read_bytes()
    assert notes(changed / "Moon.png")["ip_adapter"]["scale"] == 0.7
    assert not {"ip_adapter", "image_prompt"} & set(notes(plain / "Moon.png"))
    assert "ip_adapter" not in (tmp_path / "plain" / "run.json").read_text()


def test_another_file_of_the_same_name_is_noticed(public, generate, tmp_path, caplog):
    weights = tmp_path / "adapter.bin"
    shutil.copy(public / "base.bin", weights)
    shutil.copytree(public / "image_encoder", tmp_path / "image_encoder")
    assert generate("out", {"weights": str(weights)}).exit_code == 0
    shutil.copy(public / "plus.bin", weights)
    result = generate("out", {"weights": str(weights)})
    assert result.exit_code == 0 and "2 pictures were drawn with another" in caplog.text
    assert len(list((tmp_path / "out" / "earlier").rglob("*.png"))) == 3, "two pictures and their sheet"


def test_it_goes_with_training_validation_and_search(public, jdart, config, tmp_path):
    images = {"weights": str(public / "base.bin"), "scale": 0.5}
    path = config(
        generate={"ip_adapter": images},
        validation={"steps": 3, "images": 1},
        search={"candidates": 2, "vary": {"generate.ip_adapter.scale": [0.2, 0.9]}},
    )
    result = jdart("train", path, *STYLE)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out" / "lora" / "00" / "validation" / "3.png").is_file()
    result = jdart("search", path, *STYLE)
    assert result.exit_code == 0, result.output
    scales = {notes(path)["ip_adapter"]["scale"] for path in (tmp_path / "out").rglob("search/**/*.png")}
    assert scales & {0.2, 0.9}


def test_bad_input_is_told_in_one_line_before_anything(public, generate, tmp_path):
    good = {"weights": str(public / "base.bin")}
    wrong_base = generate("out", {"weights": str(public / "other.safetensors")})
    cases = [
        (wrong_base, "an IP-Adapter for another base: its tokens have 48 numbers, the base's words 32"),
        (generate("out", {}), "generate.ip_adapter.weights: name the file of an IP-Adapter"),
        (generate("out", {"weights": str(public / "none.bin")}), "none.bin: no such file"),
        (generate("out", {**good, "images": [{"path": str(public / "text.png")}]}), "text.png: not a readable picture"),
        (generate("out", {**good, "images": [{"path": str(public / "no.png")}]}), "no.png: no such file"),
        (generate("out", {**good, "image_encoder": str(tmp_path)}), "no folder of an image encoder"),
        (generate("out", {**good, "encoder": "dino"}), "name the folder of a DINOv2, or set score.weights"),
        (generate("out", {**good, "layers": [{"name": "up.9"}]}), "generate.ip_adapter.layers: up.9; this base's"),
        (generate("out", good, {"style_blend": {}}), "style_blend, ip_adapter: two branches take no image prompts"),
    ]
    for result, said in cases:
        assert result.exit_code == 2, result.output
        (error,) = [line for line in result.output.splitlines() if line.startswith("error: ")]
        assert said in error
    assert not (tmp_path / "out").exists()
