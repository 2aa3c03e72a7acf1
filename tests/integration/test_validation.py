"""Validation, early stop and event files from the command line."""

import csv

import numpy as np
import pytest
from PIL import Image

WATCHED = {
    "train": {"steps": 4, "tensorboard": True, "checkpointing_steps": 2},
    "validation": {"steps": 2, "images": 3, "hold_out": 1, "loss_batches": 2},
    "styles": ["00"],
    "score": {"weights": None},
}


def column(folder, name):
    with open(folder / "lora" / "00" / "loss.csv", newline="") as table:
        return [row[name] for row in csv.DictReader(table)]


def test_pictures_losses_and_events_are_written_while_training(jdart, config, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert jdart("train", config(**WATCHED)).exit_code == 0
    lora = tmp_path / "out" / "lora" / "00"
    assert sorted(path.name for path in (lora / "validation").iterdir()) == ["2.png", "4.png"]
    strips = [np.asarray(Image.open(lora / "validation" / name)).astype(int) for name in ("2.png", "4.png")]
    assert strips[0].shape == (32, 3 * 32 + 2 * 12, 3)
    assert (strips[0] != strips[1]).any(), "of the weights at that step"
    losses = column(tmp_path / "out", "validation_loss")
    assert [loss == "" for loss in losses] == [True, False, True, False]
    found = EventAccumulator(str(lora / "tensorboard"))
    found.Reload()
    assert [event.step for event in found.Scalars("train/loss")] == [1, 2, 3, 4]
    assert [event.value for event in found.Scalars("train/validation_loss")] == [
        pytest.approx(float(loss)) for loss in losses if loss
    ]
    assert [event.step for event in found.Images("validation")] == [2, 4]


def test_a_validation_picture_is_what_the_finished_lora_draws(jdart, config, tmp_path):
    """The adapters in the live network, as they are and without dropout, against the LoRA file merged into the base."""
    changes = {**WATCHED, "validation": {"steps": 4, "images": 2}, "lora": {"lora_dropout": 0.5}}
    changes["train"] = {**WATCHED["train"], "ema_decay": 0.5}
    path = config(**changes)
    assert jdart("train", path).exit_code == 0
    assert jdart("generate", path).exit_code == 0
    strip = np.asarray(Image.open(tmp_path / "out" / "lora" / "00" / "validation" / "4.png")).astype(int)
    for number, name in enumerate(("Moon", "Ice cream")):
        final = np.asarray(Image.open(tmp_path / "out" / "images" / "00" / f"{name}.png")).astype(int)
        left = number * (32 + 12)
        assert np.abs(strip[:, left : left + 32] - final).max() <= 2, "but for rounding"


def test_training_stops_when_the_validation_loss_no_longer_falls(jdart, config, tmp_path):
    """No loss falls by 1000: the first validation is the best one, and patience ends after two more."""
    changes = {**WATCHED, "train": {"steps": 9, "checkpointing_steps": 6}}
    changes["validation"] = {**WATCHED["validation"], "images": 0, "patience": 2, "min_delta": 1000.0}
    path = config(**changes)
    assert jdart("train", path).exit_code == 0
    assert column(tmp_path / "out", "step") == [str(step) for step in range(1, 7)]
    assert not (tmp_path / "out" / "lora" / "00" / "validation").exists()
    lora = tmp_path / "out" / "lora" / "00" / "pytorch_lora_weights.safetensors"
    stopped = lora.read_bytes()
    lora.unlink()  # what a kill between the checkpoint and the LoRA leaves
    assert jdart("train", path).exit_code == 0
    assert lora.read_bytes() == stopped
    assert column(tmp_path / "out", "step") == [str(step) for step in range(1, 7)]


def test_held_out_pictures_are_not_trained_on(jdart, config, tmp_path):
    """What is held out may hold anything: the LoRA is the same. All pictures held out is refused."""
    from jdart.config import load_config
    from jdart.runs.job import open_job
    from jdart.stages.learning import split

    path = config(**WATCHED)
    assert jdart("train", path).exit_code == 0
    job = open_job(load_config(path))
    (out,) = split(job, "00")[1]
    Image.new("RGB", (64, 64), "red").save(out.path)
    assert jdart("train", path, "--output", tmp_path / "other").exit_code == 0
    name = "lora/00/pytorch_lora_weights.safetensors"
    assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()
    one, other = (column(tmp_path / folder, "validation_loss") for folder in ("out", "other"))
    assert one != other
    result = jdart("train", path, "--output", tmp_path / "third", "--set", "validation.hold_out=3")
    assert result.exit_code == 2
    assert "leaves none to train on" in result.output


@pytest.mark.parametrize("damage", ["cut short", "another picture"])
def test_a_checkpoint_that_cannot_be_used_is_left_alone(damage, jdart, config, tmp_path):
    path = config(**WATCHED)
    assert jdart("train", path).exit_code == 0
    lora = tmp_path / "out" / "lora" / "00"
    (lora / "pytorch_lora_weights.safetensors").unlink()
    checkpoint = lora / "checkpoint.safetensors"
    if damage == "cut short":
        checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    else:
        Image.new("RGB", (64, 64), "red").save(tmp_path / "references" / "00" / "images" / "cow.png")
    before = checkpoint.read_bytes()
    result = jdart("train", path)
    assert result.exit_code == 2
    assert "checkpoint.safetensors" in result.output.replace("\n", "")
    assert "move it away" in " ".join(result.output.split())
    assert checkpoint.read_bytes() == before
    checkpoint.rename(tmp_path / "away")
    assert jdart("train", path).exit_code == 0


def test_settings_that_change_no_lora_may_change_under_a_run(jdart, config):
    path = config(**{**WATCHED, "train": {"steps": 2, "tensorboard": False}})
    assert jdart("train", path).exit_code == 0
    free = ("train.checkpointing_steps=1", "train.tensorboard=true", "validation.images=1", "validation.prompts=[Cat]")
    assert jdart("train", path, *(word for setting in free for word in ("--set", setting))).exit_code == 0
    assert jdart("train", path, "--set", "train.ema_decay=0.5").exit_code == 2


@pytest.mark.parametrize(
    "change",
    [
        {"validation": {"steps": 0}},
        {"validation": {"patience": 2}},
        {"validation": {"hold_out": 1}},
        {"validation": {"steps": 2, "images": 1, "prompts": ["Cat", "Dog"]}},
        {"validation": {"steps": 2, "patience": 0}},
        {"validation": {"steps": 2, "min_delta": -1.0}},
        {"train": {"ema_decay": 1.0}},
        {"train": {"checkpointing_steps": 0}},
    ],
    ids=str,
)
def test_settings_out_of_range(change, jdart, config):
    result = jdart("train", config(**change))
    assert result.exit_code == 2
    assert next(iter(change)) in result.output
