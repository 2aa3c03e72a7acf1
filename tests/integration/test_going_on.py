"""Going on with a LoRA that is finished: more steps of the same training."""

import json
import re
import signal
import subprocess
import sys

import pytest

from jdart.lora.formats.reading import load_lora

LORA = "lora/00/pytorch_lora_weights.safetensors"
PLAIN = {"weights": None}
STYLE = ("--styles", "00")
MORE = ("--set", "train.steps=5")


def refused(result, *words):
    assert result.exit_code == 2, result.output
    line = " ".join(result.output.split())
    assert all(word in line for word in words), line


def files(folder):
    """Without the checkpoint, whose header safetensors writes in a random order."""
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ("compiler.log", "run.json", "checkpoint.safetensors")
    }


KINDS = {
    "every 2, ema, dropout, accumulation": {
        "train": {"checkpointing_steps": 2, "ema_decay": 0.9, "gradient_accumulation_steps": 2, "batch_size": 1},
        "lora": {"lora_dropout": 0.2},
    },
    "no checkpoints, warm-up, validation": {
        "train": {"checkpointing_steps": None, "lr_scheduler": "constant_with_warmup", "lr_warmup_steps": 4},
        "validation": {"steps": 2, "images": 0, "hold_out": 1, "loss_batches": 1},
    },
    "text encoder, token": {
        "data": {"template": "an image of {object} in <style>"},
        "token": {"vectors": 1},
        "text_encoder_lora": {"r": 2},
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_lora_that_more_steps_from_the_start_would_have_given(kind, jdart, config, tmp_path):
    path = config(score=PLAIN, **KINDS[kind])
    assert jdart("train", path, *STYLE, "--output", tmp_path / "whole", *MORE).exit_code == 0
    assert jdart("train", path, *STYLE).exit_code == 0
    short = (tmp_path / "out" / LORA).read_bytes()
    assert jdart("train", path, *STYLE, *MORE).exit_code == 0
    whole, gone_on = files(tmp_path / "whole"), files(tmp_path / "out")
    earlier = {name: gone_on.pop(name) for name in list(gone_on) if name.parts[0] == "earlier"}
    assert gone_on == whole
    assert {name.as_posix(): data for name, data in earlier.items()}["earlier/3-steps/" + LORA] == short
    assert "nothing was done" in jdart("train", path, *STYLE, *MORE).output


def test_a_packed_lora_goes_on(jdart, config, tmp_path):
    path = config(score=PLAIN, train={"packed": True})
    assert jdart("train", path, "--output", tmp_path / "whole", *MORE).exit_code == 0
    for more in ((), MORE):
        assert jdart("train", path, *more).exit_code == 0
    name = "lora/packed/pytorch_lora_weights.safetensors"
    assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_what_validation_stopped_stays_stopped(jdart, config, tmp_path):
    """More steps from the start would have been stopped at the same one."""
    validation = {"steps": 1, "images": 0, "patience": 1, "min_delta": 9.0, "loss_batches": 1}
    path = config(score=PLAIN, validation=validation, train={"steps": 4})
    assert jdart("train", path, *STYLE).exit_code == 0
    before = (tmp_path / "out" / LORA).read_bytes()
    assert load_lora(tmp_path / "out" / LORA).settings["steps"] == 2
    again = jdart("train", path, *STYLE, "--set", "train.steps=9")
    assert again.exit_code == 0
    assert (tmp_path / "out" / LORA).read_bytes() == before
    assert jdart("train", path, *STYLE, "--set", "train.steps=9", "--output", tmp_path / "whole").exit_code == 0
    assert (tmp_path / "whole" / LORA).read_bytes() == before


def test_pictures_of_the_earlier_lora_are_kept_and_drawn_anew(jdart, config, tmp_path):
    out, path = tmp_path / "out", config(score=PLAIN)
    for command in ("train", "generate"):
        assert jdart(command, path, *STYLE).exit_code == 0
    images = out / "images" / "00"
    mine = images / "Sun.png"
    mine.write_bytes(next((tmp_path / "references" / "00" / "images").iterdir()).read_bytes())
    before = {picture.name: picture.read_bytes() for picture in images.iterdir() if picture != mine}
    assert jdart("train", path, *STYLE, *MORE).exit_code == 0
    assert list(images.iterdir()) == [mine], "a picture that is not of the LoRA stays where it was put"
    kept = out / "earlier" / "3-steps"
    assert {picture.name: picture.read_bytes() for picture in (kept / "images" / "00").iterdir()} == before
    assert (kept / "sheets" / "00.png").exists()
    assert jdart("generate", path, *STYLE, *MORE).exit_code == 0
    assert all((images / name).read_bytes() != data for name, data in before.items())
    redrawn = jdart("redraw", kept / "images" / "00" / "Moon.png")
    assert redrawn.exit_code == 0, redrawn.output
    back = jdart("generate", path, *STYLE, "--loras", kept, "--output", tmp_path / "back")
    assert back.exit_code == 0, back.output
    assert (tmp_path / "back" / "images" / "00" / "Moon.png").read_bytes() == before["Moon.png"]


def test_pictures_of_a_lora_that_was_replaced_by_hand_are_drawn_anew(jdart, config, tmp_path):
    path = config(score=PLAIN)
    for command in ("train", "generate"):
        assert jdart(command, path, *STYLE).exit_code == 0
    picture = tmp_path / "out" / "images" / "00" / "Moon.png"
    before = picture.read_bytes()
    assert jdart("train", path, *STYLE, "--set", "seed=8", "--output", tmp_path / "other").exit_code == 0
    (tmp_path / "out" / LORA).write_bytes((tmp_path / "other" / LORA).read_bytes())
    assert jdart("generate", path, *STYLE).exit_code == 0
    assert picture.read_bytes() != before
    (kept,) = (tmp_path / "out" / "earlier").glob("*/images/00/Moon.png")
    assert kept.read_bytes() == before
    assert "nothing was done" in jdart("generate", path, *STYLE).output


KILLED = """
import importlib, os, signal, sys
from jdart.runtime import start
start("cpu")
where, arguments = sys.argv[1], sys.argv[2:]
module, name = where.rsplit(".", 1)
def kill(*values, **options):
    os.kill(os.getpid(), signal.SIGKILL)
setattr(importlib.import_module(module), name, kill)
from jdart.cli import main
main(arguments)
"""


def test_killed_while_it_goes_on(jdart, config, tmp_path):
    """In a step; between the pictures and the LoRA. Meanwhile nothing is drawn with the LoRA of before."""
    out, path = tmp_path / "out", config(score=PLAIN, train={"checkpointing_steps": 1})
    assert jdart("train", path, *STYLE, *MORE, "--output", tmp_path / "whole").exit_code == 0
    for command in ("train", "generate"):
        assert jdart(command, path, *STYLE).exit_code == 0
    short, picture = (out / LORA).read_bytes(), out / "images" / "00" / "Moon.png"
    for where, there in (
        ("jdart.training.loop.clip_by_norm", True),
        ("jdart.runs.trained._move", True),
        ("jdart.stages.training.save_lora", False),
    ):
        done = subprocess.run(
            [sys.executable, "-c", KILLED, where, "train", path, *STYLE, *MORE, "--device", "cpu"],
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
        assert (out / LORA).read_bytes() == short
        assert picture.exists() == there
        refused(jdart("generate", path, *STYLE, *MORE), "style 00 is not trained yet")
    assert jdart("train", path, *STYLE, *MORE).exit_code == 0
    assert (out / LORA).read_bytes() == (tmp_path / "whole" / LORA).read_bytes()
    assert (out / "earlier" / "3-steps" / LORA).read_bytes() == short
    assert len(list((out / "earlier" / "3-steps" / "images" / "00").iterdir())) == 2


def test_schedules_that_end_and_fewer_steps_are_refused(jdart, config, tmp_path):
    path = config(score=PLAIN, train={"lr_scheduler": "cosine"})
    assert jdart("train", path, *STYLE).exit_code == 0
    before = files(tmp_path / "out")
    refused(jdart("train", path, *STYLE, *MORE), "lr_scheduler cosine", "lora.init_from", "nothing was touched")
    assert files(tmp_path / "out") == before
    path = config(score=PLAIN, output=str(tmp_path / "constant"))
    assert jdart("train", path, *STYLE).exit_code == 0
    run = json.loads((tmp_path / "constant" / "run.json").read_text())
    refused(jdart("train", path, *STYLE, "--set", "train.steps=2"), "00 is trained for 3 steps already")
    assert json.loads((tmp_path / "constant" / "run.json").read_text()) == run


def test_a_number_that_was_raised_by_mistake_can_be_taken_back(jdart, config, tmp_path, monkeypatch):
    path = config(score=PLAIN)
    assert jdart("train", path, *STYLE).exit_code == 0
    before = (tmp_path / "out" / LORA).read_bytes()

    def stop(*values):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("jdart.training.loop.clip_by_norm", stop)
        assert jdart("train", path, *STYLE, "--set", "train.steps=99999").exit_code == 130
    assert jdart("generate", path, *STYLE).exit_code == 0
    assert (tmp_path / "out" / LORA).read_bytes() == before


def test_a_lora_from_elsewhere_is_not_trained_further(jdart, config, tmp_path):
    assert jdart("train", config(score=PLAIN), *STYLE).exit_code == 0
    path = config(score=PLAIN, output=str(tmp_path / "other"), train={"steps": 5})
    result = jdart("generate", path, *STYLE, "--loras", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert jdart("train", path, *STYLE).exit_code == 0
    assert (tmp_path / "other" / LORA).read_bytes() == (tmp_path / "out" / LORA).read_bytes()


def test_the_plan_counts_what_is_left(jdart, config, tmp_path):
    path = config(score=PLAIN)
    for command in ("train", "generate"):
        assert jdart(command, path, *STYLE).exit_code == 0
    from jdart.config import load_config
    from jdart.planning.work import work_of
    from jdart.runs.job import open_job

    (_, work) = work_of(open_job(load_config(path, ["train.steps=5"], styles=["00"])))
    assert (work.steps, work.pictures) == (2, 2)
    assert re.fullmatch(r"00", work.style)
