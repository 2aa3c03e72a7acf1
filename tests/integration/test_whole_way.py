"""From references to a page in one command; and what happens when it is stopped, changed or run again."""

import errno
import json
import os
import subprocess
import sys
import zipfile

import pytest
from PIL import Image

import submission


def snapshot(folder):
    """Every file of a run but the log, with its bytes and time."""
    return {
        path.relative_to(folder): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and path.name != "compiler.log"
    }


def contents(folder):
    return {path: data for path, (data, _) in snapshot(folder).items()}


def test_the_whole_way_and_again(jdart, config, tmp_path):
    out = tmp_path / "out"
    result = jdart("run", config())
    assert result.exit_code == 0, result.output

    names = {path.name for path in (out / "images" / "00").iterdir()}
    assert names == {"Moon.png", "Ice cream.png"}
    picture = Image.open(out / "images" / "00" / "Moon.png")
    assert (picture.mode, picture.size) == ("RGB", (32, 32))
    parameters = json.loads(picture.text["jdart"])
    assert parameters["prompt"] == "an image of Moon in style_00"
    assert parameters["strength"] == 0.7
    assert submission.verify(out / "entry.zip", submission.contest_from_references(tmp_path / "references")) == []
    with zipfile.ZipFile(out / "entry.zip") as archive:
        assert archive.testzip() is None
        manifest = json.loads(archive.read("manifest.json"))
    assert "local" not in manifest["run"]
    assert set(manifest["run"]["lora"]) == {"00", "01"}
    report = json.loads((out / "report" / "report.json").read_text())
    assert report["provenance"]["comparable"] is False
    assert (out / "site" / "index.html").exists()
    assert len((out / "lora" / "00" / "loss.csv").read_text().splitlines()) == 1 + 3
    for image in (out / "lora" / "00" / "loss.png", out / "sheets" / "00.png"):
        Image.open(image).verify()

    before = snapshot(out)
    again = jdart("run", config())
    assert again.exit_code == 0
    assert "nothing was done" in again.output
    assert snapshot(out) == before

    (out / "entry.yaml").write_text("team: Ours")
    assert jdart("run", config()).exit_code == 0
    assert "Ours" in (out / "site" / "index.html").read_text("utf-8")
    (out / "entry.yaml").unlink()

    gone = out / "images" / "00" / "Moon.png"
    gone.unlink()
    assert jdart("run", config()).exit_code == 0
    assert contents(out)[gone.relative_to(out)] == before[gone.relative_to(out)][0], "redrawn bit for bit"
    assert (out / "entry.zip").read_bytes() == before[(out / "entry.zip").relative_to(out)][0]


def test_the_same_configuration_gives_the_same_files_elsewhere(jdart, config, tmp_path):
    assert jdart("run", config()).exit_code == 0
    assert jdart("run", config(), "--output", tmp_path / "other").exit_code == 0
    for part in ("lora", "images", "sheets"):
        assert contents(tmp_path / "out" / part) == contents(tmp_path / "other" / part)


def test_other_settings_are_refused_and_nothing_is_touched(jdart, config, tmp_path):
    assert jdart("run", config()).exit_code == 0
    before = snapshot(tmp_path / "out")
    result = jdart("run", config(), "--set", "train.steps=4", "--set", "lora.r=3")
    assert result.exit_code == 2
    assert "train.steps: 3 -> 4" in result.output
    assert "lora.r: 2 -> 3" in result.output
    assert snapshot(tmp_path / "out") == before
    assert jdart("run", config(), "--set", "generate.batch_size=1").exit_code == 0, "a batch size changes no picture"


def test_styles_can_be_added_later(jdart, config, tmp_path):
    assert jdart("run", config(), "--styles", "01").exit_code == 0
    assert not (tmp_path / "out" / "images" / "00").exists()
    only = (tmp_path / "out" / "images" / "01" / "Dog.png").read_bytes()
    assert jdart("run", config()).exit_code == 0
    assert (tmp_path / "out" / "images" / "01" / "Dog.png").read_bytes() == only
    assert json.loads((tmp_path / "out" / "run.json").read_text())["styles"] == ["00", "01"]
    report = tmp_path / "out" / "report" / "report.json"
    scored = report.stat().st_mtime_ns
    assert jdart("run", config(), "--styles", "01").exit_code == 0, "the entry still holds both styles"
    assert report.stat().st_mtime_ns == scored, "and is not scored again"


def test_a_contact_sheet_that_a_stop_prevented_is_made_by_the_next_run(jdart, config, tmp_path):
    path = config(score={"weights": None})
    assert jdart("run", path).exit_code == 0
    before = contents(tmp_path / "out")
    (tmp_path / "out" / "sheets" / "00.png").unlink()
    assert jdart("run", path).exit_code == 0
    assert contents(tmp_path / "out") == before


@pytest.mark.parametrize(
    "where",
    ["jdart.training.loop.clip_by_norm", "jdart.stages.drawing.write_picture", "evaluator.score_submission"],
)
def test_ctrl_c_in_a_stage_keeps_what_is_done(where, jdart, config, tmp_path, monkeypatch):
    import importlib

    module, name = where.rsplit(".", 1)
    owner = importlib.import_module(module)
    original = getattr(owner, name)
    calls = []

    def stop(*arguments, **options):
        calls.append(1)
        if len(calls) == 2 or name == "score_submission":
            raise KeyboardInterrupt
        return original(*arguments, **options)

    monkeypatch.setattr(owner, name, stop, raising=False)
    result = jdart("run", config())
    assert result.exit_code == 130
    assert "run the same command again" in result.output
    assert not list((tmp_path / "out").rglob("*.part")), "no half-written file"
    for path in (tmp_path / "out").rglob("*.png"):
        Image.open(path).load()
    monkeypatch.undo()
    assert jdart("run", config()).exit_code == 0
    assert jdart("run", config(), "--output", tmp_path / "other").exit_code == 0
    assert (tmp_path / "out" / "entry.zip").exists()
    one, other = (contents(tmp_path / name / "images") for name in ("out", "other"))
    assert one == other, "as if it had never been stopped"


def test_no_space_left(jdart, config, tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    result = jdart("run", config())
    assert result.exit_code == 2
    assert "no space left on the disk" in result.output
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file() and path.name != "compiler.log"]


def test_prior_pictures_are_made_once_and_shared(jdart, config, tmp_path):
    changes = {"prior": {"weight": 0.5, "images_per_prompt": 1, "steps": 2}, "score": {"weights": None}}
    path = config(**changes)
    assert jdart("prior", path).exit_code == 0
    prior = {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "prior").rglob("*.png")}
    assert len(prior) == 3 + 2 + 2, "three objects shared by both styles, and each style's prompts"
    assert jdart("run", path).exit_code == 0
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "prior").rglob("*.png")} == prior


def test_without_weights_everything_but_the_score(jdart, config, tmp_path):
    path = config(score={"weights": None})
    result = jdart("run", path)
    assert result.exit_code == 0
    assert "left out" in result.output
    assert (tmp_path / "out" / "entry.zip").exists()
    assert not (tmp_path / "out" / "report").exists()


def test_generate_before_train_says_what_to_do(jdart, config):
    result = jdart("generate", config())
    assert result.exit_code == 2
    assert "jdart train" in result.output


def test_a_bin_file_of_the_baseline_is_drawn_with(jdart, config, tmp_path):
    """Put where a trained file would be, it gives the pictures that the trained one gives."""
    import torch

    from jdart.data.pictures import read_rgb
    from jdart.lora.formats.reading import load_lora

    path = config(score={"weights": None})
    assert jdart("run", path).exit_code == 0
    state = {}
    for style in ("00", "01"):
        trained = load_lora(tmp_path / "out" / "lora" / style / "pytorch_lora_weights.safetensors")
        for layer, pair in trained.pairs["unet"].items():
            state[f"unet.{layer}.lora.down.weight"] = torch.tensor(pair.a)
            state[f"unet.{layer}.lora.up.weight"] = torch.tensor(pair.b)
        (tmp_path / "other" / "lora" / style).mkdir(parents=True)
        torch.save(state, tmp_path / "other" / "lora" / style / "pytorch_lora_weights.bin")
    assert jdart("run", path, "--output", tmp_path / "other").exit_code == 0
    for drawn in (tmp_path / "out" / "images").glob("*/*.png"):  # the notes in the files name the LoRA
        again = tmp_path / "other" / drawn.relative_to(tmp_path / "out")
        assert (read_rgb(again) == read_rgb(drawn)).all()


def test_a_lora_that_fits_no_layer(jdart, config, tmp_path):
    import numpy as np

    from jdart.lora.formats.file import LoraFile
    from jdart.lora.formats.writing import save_lora
    from jdart.lora.pairs import LoraPair

    assert jdart("train", config()).exit_code == 0
    pair = LoraPair(np.zeros((1, 3), np.float32), np.zeros((3, 1), np.float32), 1.0)
    save_lora(
        tmp_path / "out" / "lora" / "00" / "pytorch_lora_weights.safetensors", LoraFile({"unet": {"no.to_q": pair}})
    )
    result = jdart("generate", config())
    assert result.exit_code == 2
    assert "no.to_q" in result.output


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"references": "/nowhere"}, ["/nowhere", "no such folder"]),
        ({"base": {"model": "/nowhere"}}, ["/nowhere", "jdart base new"]),
        ({"score": {"weights": "/nowhere"}}, ["/nowhere", "jdart-eval weights pull"]),
        ({"contest": "no-such"}, ["no-such", "jittor-style-a"]),
        ({"styles": ["77"]}, ["77", "00, 01"]),
        ({"data": {"size": 40}}, []),
        ({"train": {"lr": 1}}, ["train.lr", "unknown setting"]),
        ({"lora": {"target_modules": ["to_nothing"]}}, ["to_nothing"]),
    ],
    ids=str,
)
def test_bad_configurations(change, words, jdart, config, tmp_path):
    result = jdart("run", config(**change))
    if not words:
        assert result.exit_code == 0
        return
    assert result.exit_code == 2
    assert all(word in result.output for word in words), result.output
    assert not (tmp_path / "out" / "images").exists()


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_a_base_that_lacks_a_tensor(part, jdart, config, models, tmp_path):
    import shutil

    from safetensors.numpy import load_file, save_file

    base = tmp_path / "broken"
    shutil.copytree(models / "base", base)
    path = next((base / part).glob("*.safetensors"))
    tensors = load_file(path)
    dropped = sorted(tensors)[0]
    del tensors[dropped]
    save_file(tensors, path)
    result = jdart("run", config(base={"model": str(base)}))
    assert result.exit_code == 2
    assert f"1 missing: {dropped}" in result.output


def test_another_base_under_a_finished_run_is_noticed(jdart, config, models, tmp_path):
    from jdart.models.presets import write_base

    path = config(score={"weights": None})
    assert jdart("run", path).exit_code == 0
    write_base(tmp_path / "base2", "tiny", seed=9)
    result = jdart("run", path, "--set", f"base.model={tmp_path / 'base2'}")
    assert result.exit_code == 2
    assert "base model's weights" in result.output


@pytest.mark.parametrize("command", ["jdart", "jdart-submit", "jdart-eval", "jdart-board"])
def test_help_is_quick_and_needs_no_heavy_package(command):
    """The modules behind --help may not import torch, jittor or transformers."""
    module = {"jdart": "jdart", "jdart-submit": "submission", "jdart-eval": "evaluator", "jdart-board": "leaderboard"}
    code = (
        "import sys\n"
        f"from {module[command]}.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'jittor', 'transformers', 'pandas', 'matplotlib', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout
