"""What a method of training or drawing cannot do with a base, a style or other settings: one line before anything."""

import numpy as np
import pytest
from PIL import Image

BLEND = {"generate": {"style_blend": {}}, "train": {"composition": {}}}


@pytest.fixture
def refused(jdart, config, tmp_path):
    """Run `jdart train` with changes of the configuration: it ends with 2 and one line, and nothing is written."""

    def run(words, command="train", **changes):
        result = jdart(command, config(**changes), "--styles", "00")
        assert result.exit_code == 2, result.output
        errors = [line for line in result.output.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1 and all(word in errors[0] for word in words), errors
        assert not (tmp_path / "out").exists()

    return run


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"generate": {"start": {"leak": "dct"}}, "data": {"size": 8}},
            ["generate.start.leak", "2 x 2", "take pixel"],
        ),
        (
            {"overrides": {"00": {"start": {"leak": "dct"}}}, "data": {"size": 8}},
            ["generate.start.leak", "2 x 2", "take pixel"],
        ),
        (
            {"train": {"composition": {"sampling_steps": 1001}}},
            ["train.composition.sampling_steps: steps = 1001", "1 to 1000"],
        ),
        (
            {**BLEND, "generate": {"style_blend": {"middle_first": 0.01, "middle_last": 0.02}}},
            ["generate.style_blend: middle_first, middle_last", "take a range"],
        ),
        (
            {**BLEND, "generate": {"style_blend": {}, "lora_weight": 0.0}},
            ["generate.style_blend: style 00", "lora_weight"],
        ),
        ({**BLEND, "score": {"weights": None}}, ["train.composition.keep", "score.weights"]),
        ({**BLEND, "score": {"weights": "."}}, ["."]),
    ],
    ids=["dct", "dct for a style", "schedule", "one side empty", "nothing learnt", "no CLIP", "no weights"],
)
def test_settings_that_do_not_fit(changes, words, refused):
    if changes.get("generate", {}).get("style_blend") == {}:
        changes = {**changes, "generate": {**changes["generate"], "style_blend": {"middle_first": 0.3}}}
    refused(words, **changes)


@pytest.mark.parametrize("method", ["transport", "guidance", "finish"])
def test_references_of_one_colour(method, refused, contest):
    own = {"guidance": {"first": 0.0}}.get(method, {})
    pictures = sorted((contest / "00" / "images").iterdir())
    for path in pictures:
        Image.new("RGB", (64, 64), (9, 90, 200)).save(path)
    refused([f"generate.colour.{method}: style 00: ", "one colour"], generate={"colour": {method: own}})


def test_a_lora_that_style_blend_cannot_weigh(refused, models, tmp_path):
    from jdart.lora.formats.file import LoraFile
    from jdart.lora.formats.writing import save_lora
    from jdart.lora.inspect import shapes_of
    from jdart.lora.pairs import LoraPair

    path, name = tmp_path / "falling.safetensors", "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
    outputs, inputs = shapes_of(models / "base", None)["unet"][name]
    pair = LoraPair(np.zeros((1, inputs), np.float32), np.zeros((outputs, 1), np.float32), 1.0)
    notes = {"rank_by_noise": {"min": 1, "alpha": 1.0}}
    save_lora(path, LoraFile({"unet": {name: pair}, "text_encoder": {}}, notes))
    generate = {"style_blend": {"middle_first": 0.3}, "loras": [{"path": str(path)}]}
    refused(["falling.safetensors: generate.style_blend cannot weigh"], generate=generate, train=BLEND["train"])


def test_what_has_no_composition_yet_is_not_there(tmp_path):
    """`jdart train --devices` starts a process for a style whose LoRA lies there and whose composition does not."""
    from jdart.config import load_config
    from jdart.jobs.tasks import Task, is_there
    from jdart.runs.folder import RunFolder

    settings = load_config("demo", ["train.composition={}"], output=str(tmp_path / "out"))
    folder, task = RunFolder.of(settings), Task("00", ("train",), settings)
    for place in (folder.lora("00"), folder.composition.lora("00")):
        assert not is_there(task, folder, {"00": ("Moon",)})
        place.parent.mkdir(parents=True)
        place.write_bytes(b"")
    assert is_there(task, folder, {"00": ("Moon",)})
