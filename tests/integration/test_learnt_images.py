"""An IP-Adapter with DINOv2 learnt on a style by the command line: trained, drawn with, packed, taken over."""

import json
import zipfile

import pytest
from PIL import Image

from contest.reading import contest_from_references
from submission import build, verify

STYLE = ("--styles", "00")
LEARNT = {
    "train": {"ip_adapter": {"tokens": 2, "learning_rate": 0.01, "drop": 0.2}, "checkpointing_steps": 2},
    "generate": {"ip_adapter": {"encoder": "dino", "scale": 0.8}},
}
PLACE = "lora/00/ip_adapter.safetensors"


def test_the_whole_way(jdart, config, contest, tmp_path):
    out = tmp_path / "out"
    path = config(**LEARNT, validation={"steps": 3, "images": 1})
    result = jdart("train", path, *STYLE)
    assert result.exit_code == 0, result.output
    assert (out / PLACE).is_file() and (out / "lora" / "00" / "validation" / "3.png").is_file()
    result = jdart("generate", path, *STYLE)
    assert result.exit_code == 0, result.output
    picture = out / "images" / "00" / "Moon.png"
    with Image.open(picture) as image:
        notes = json.loads(image.text["jdart"])
    assert notes["ip_adapter"]["encoder"] == "dino" and len(notes["image_prompt"]["images"]) == 3
    result = jdart("redraw", picture, "--output", tmp_path / "again.png")
    assert "byte for byte the same" in result.output.replace("\n", " "), result.output

    plain = {"generate": {"ip_adapter": {**LEARNT["generate"]["ip_adapter"], "scale": 0.0}}}
    other = config(**{**LEARNT, **plain})
    assert jdart("generate", other, *STYLE, "--output", tmp_path / "other", "--loras", out).exit_code == 0
    assert (tmp_path / "other" / PLACE).read_bytes() == (out / PLACE).read_bytes(), "taken over"
    unlike = tmp_path / "other" / "images" / "00" / "Moon.png"
    assert Image.open(unlike).tobytes() != Image.open(picture).tobytes()

    assert build(out, None, tmp_path / "entry.zip", include_weights=True).state == "written"
    with zipfile.ZipFile(tmp_path / "entry.zip") as archive:
        assert archive.read(PLACE) == (out / PLACE).read_bytes()
    assert verify(tmp_path / "entry.zip", contest_from_references(contest).subset(["00"])) == []


def test_training_that_was_stopped_goes_on_to_the_same_bytes(jdart, config, tmp_path):
    """With train.steps raised, from the checkpoint; the adapter before is kept aside."""
    assert jdart("train", config(**LEARNT), *STYLE, "--output", tmp_path / "once").exit_code == 0
    short = {**LEARNT, "train": {**LEARNT["train"], "steps": 2}}
    assert jdart("train", config(**short), *STYLE, "--output", tmp_path / "twice").exit_code == 0
    first = (tmp_path / "twice" / PLACE).read_bytes()
    assert jdart("train", config(**LEARNT), *STYLE, "--output", tmp_path / "twice").exit_code == 0
    once, twice = ((tmp_path / name / PLACE).read_bytes() for name in ("once", "twice"))
    assert once == twice != first
    assert (tmp_path / "twice" / "earlier" / "2-steps" / PLACE).read_bytes() == first


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"generate": {"ip_adapter": {"encoder": "dino"}}}, "generate.ip_adapter: needs train.ip_adapter, as {}, or"),
        ({**LEARNT, "score": {"weights": None}}, "name the folder of a DINOv2, or set score.weights"),
        ({**LEARNT, "train": {"ip_adapter": {}, "packed": True}}, "train.ip_adapter: is learnt for one style"),
        ({**LEARNT, "train": {"ip_adapter": {"tokens": 0}}}, "train.ip_adapter.tokens: 0 is not in 1 to 64"),
        ({"overrides": {"00": {"ip_adapter": {"encoder": "dino"}}}}, "generate.ip_adapter: needs train.ip_adapter"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_computed(changes, said, jdart, config, tmp_path):
    result = jdart("train", config(**changes), *STYLE)
    assert result.exit_code == 2, result.output
    (error,) = [line for line in result.output.splitlines() if line.startswith("error: ")]
    assert said in error
    assert not (tmp_path / "out").exists()
