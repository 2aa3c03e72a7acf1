"""Pictures of defects from a folder that lies as MVTec's: a LoRA for each, drawn, packed, redrawn."""

import json
import shutil

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from PIL import Image

from contest.reading import contest_from_references
from submission import verify
from submission.cli import main as submit

DEFECTS = {"hazelnut/test/hole": 5, "metal_nut/test/flip": 3, "hazelnut/test/good": 2, "hazelnut/train/good": 2}
STYLES = ("hazelnut-hole", "metal_nut-flip")


@pytest.fixture
def mvtec(tmp_path):
    root = tmp_path / "mvtec"
    for seed, (place, count) in enumerate(DEFECTS.items()):
        (root / place).mkdir(parents=True)
        for number in range(count):
            pixels = np.random.default_rng([seed, number]).integers(0, 255, (8, 8, 3)).astype(np.uint8)
            Image.fromarray(pixels).resize((40, 40)).save(root / place / f"{number:03}.png")
    return root


@pytest.fixture
def defects(tmp_path, mvtec, models):
    """Path of a configuration; call with changes."""

    def write(**changes):
        raw = {
            "references": str(mvtec),
            "output": str(tmp_path / "out"),
            "base": {"model": str(models / "base")},
            "data": {"layout": "mvtec", "share": 0.5, "size": 32, "template": "a {object} with sks"},
            "lora": {"r": 2},
            "text_encoder_lora": {"r": 2},
            "train": {"steps": 2, "batch_size": 2, "learning_rate": 0.005},
            "generate": {"sampler": "ddim", "steps": 2, "num_images_per_prompt": 2},
        }
        for section, value in changes.items():
            raw[section] = {**raw[section], **value} if isinstance(raw.get(section), dict) else value
        path = tmp_path / "defects.yaml"
        path.write_text(yaml.safe_dump(raw))
        return str(path)

    return write


def notes(path):
    with Image.open(path) as image:
        return json.loads(image.text["jdart"])


def test_the_whole_way(defects, jdart, mvtec, tmp_path):
    out = tmp_path / "out"
    result = jdart("run", defects())
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (out / "lora").iterdir()) == list(STYLES)
    for style, thing in zip(STYLES, ("hazelnut", "metal nut")):
        first, second = out / "images" / style / f"{thing}.png", out / "candidates" / style / thing / "1.png"
        assert notes(first)["prompt"] == notes(second)["prompt"] == f"a {thing} with sks"
        assert Image.open(first).tobytes() != Image.open(second).tobytes()
    loras = [(out / "lora" / style / "pytorch_lora_weights.safetensors").read_bytes() for style in STYLES]
    assert loras[0] != loras[1]
    assert verify(out / "entry.zip", contest_from_references(mvtec)) == []
    again = tmp_path / "again.png"
    assert jdart("redraw", first, "--output", again).exit_code == 0
    assert again.read_bytes() == first.read_bytes()
    assert "nothing was done" in jdart("run", defects()).output
    shutil.copy(mvtec / "hazelnut" / "test" / "hole" / "000.png", out / "images" / "hazelnut-hole" / "hazelnut.png")
    assert "S212" in CliRunner().invoke(submit, ["check", str(out)]).output, "a reference is no output"


def test_what_is_learnt_and_with_which_words(defects, jdart):
    """The first half of the pictures by name, each called by its category: in training as in drawing."""
    result = jdart("data", defects(), "--json")
    assert result.exit_code == 0, result.output
    found = {own["style"]: own["rows"] for own in json.loads(result.output)}
    learnt = {
        style: [row["picture"]["path"][-7:] for row in rows if row["left_out"] is None] for style, rows in found.items()
    }
    assert learnt == {"hazelnut-hole": ["000.png", "001.png"], "metal_nut-flip": ["000.png", "001.png"]}
    assert {row["left_out"] for rows in found.values() for row in rows} == {None, "kept back by data.share 0.5"}
    captions = {style: {row["picture"]["caption"] for row in rows} for style, rows in found.items()}
    assert captions == {"hazelnut-hole": {"a hazelnut with sks"}, "metal_nut-flip": {"a metal nut with sks"}}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"references": "{}/mvtec/hazelnut"}, "holds no <category>/test/<defect>/*.png; it lies too low, name"),
        ({"references": "{}"}, "it lies too high, name {}/mvtec"),
        ({"styles": ["hazelnut-good"]}, "styles: hazelnut-good: good is no defect, it is not learnt; leave it out"),
        ({"styles": ["hazelnut-crack"]}, "has no style 'hazelnut-crack'; it has hazelnut-hole, metal_nut-flip"),
        ({"score": {"weights": "toy"}}, "score.weights: MVTec's defects are no contest that is scored; leave it out"),
        ({"story": "toy"}, "story: is drawn in one style, data.layout: mvtec has one a defect; leave it out"),
        ({"data": {"share": 0}}, "share: 0.0 is not above 0 and up to 1"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(changes, said, defects, jdart, tmp_path):
    filled = {key: value.format(tmp_path) if isinstance(value, str) else value for key, value in changes.items()}
    result = jdart("train", defects(**filled))
    assert result.exit_code == 2
    (error,) = [line for line in result.output.splitlines() if line.startswith("error: ")]
    assert said.format(tmp_path) in error
    assert not (tmp_path / "out").exists()


def test_a_defect_without_pictures_is_named(defects, jdart, mvtec):
    (mvtec / "metal_nut" / "test" / "scratch").mkdir()
    result = jdart("train", defects())
    assert result.exit_code == 2
    assert "metal_nut/test/scratch: no pictures; put one or more there" in result.output.replace("\n", "")
    chosen = jdart("data", defects(), "--styles", ",".join(STYLES))
    assert chosen.exit_code == 0, "those that are chosen do not need it"


def test_the_doctor_looks_at_all_that_the_run_needs(defects, jdart, tmp_path):
    found = examined(jdart, defects(), "--quick")
    assert found["pictures to learn"]["found"] == "layout mvtec: 2 styles of 2 pictures, 4 in all"
    assert all(found[name]["status"] == "ok" for name in ("path: references", "precision of the base"))
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_doctor_measures_real_steps(defects, jdart, tmp_path):
    """In a process of its own."""
    found = examined(jdart, defects(), "--device", "cpu")
    for name in ("memory for the run", "disk for the run"):
        assert found[name]["status"] == "ok" and " needed, " in found[name]["found"], found[name]
    assert not (tmp_path / "out").exists()


def examined(jdart, path, *options):
    return {one["name"]: one for one in json.loads(jdart("doctor", "--for", path, "--json", *options).output)}
