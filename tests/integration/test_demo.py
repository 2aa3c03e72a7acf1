"""The demonstration on miniature archives in the place of those that come along: four entries, one board."""

import json
import zipfile

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import load_file, save

from jdart.config import load_config
from jdart.data.pictures import read_rgb
from jdart.lora.formats.reading import load_lora

ENTRIES = {
    "1-plain-base": "plain base",
    "2-lora": "LoRA",
    "3-lora-average-image": "LoRA + average image",
    "4-jdart-best": "jdart-best",
}
REASON = "toy weights: not comparable with the contest"


def write_zip(path, folder, left_out, change):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(p for p in folder.rglob("*") if p.is_file()):
            name = file.relative_to(folder).as_posix()
            if not left_out(name):
                archive.writestr(name, change(name, file))
    return path


def base_member(name, path):
    """As it ships: float16, and the settings tell transformers to calculate in float32."""
    if path.suffix == ".safetensors":
        tensors = {key: value.astype(np.float16) for key, value in load_file(path).items()}
        return save(tensors, metadata={"format": "pt"})
    if name == "text_encoder/config.json":
        return json.dumps({**json.loads(path.read_text()), "torch_dtype": "float32"})
    return path.read_bytes()


def weights_member(name, path):
    if name == "clip-vit-large-patch14/config.json":
        return json.dumps({**json.loads(path.read_text()), "_name_or_path": "jdart/toy"})
    return path.read_bytes()


@pytest.fixture(scope="module")
def archives(models, tmp_path_factory):
    """By the package that brings each."""
    folder = tmp_path_factory.mktemp("shipped")
    (folder / "jdart").mkdir()
    (folder / "evaluator").mkdir()
    words = ("vocab.json", "merges.txt", "tokenizer_config.json")
    return {
        "jdart": write_zip(
            folder / "jdart" / "toy.zip", models / "base", lambda name: name.startswith("tokenizer/"), base_member
        ),
        "evaluator": write_zip(
            folder / "evaluator" / "toy.zip", models / "weights", lambda name: name.endswith(words), weights_member
        ),
    }


@pytest.fixture(autouse=True)
def shipped(archives, tmp_path, monkeypatch):
    for module in ("jdart.models.hub.locate", "evaluator.weights.folder", "jdart.doctor"):
        monkeypatch.setattr(f"{module}.toy_archive", archives.__getitem__)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


@pytest.fixture
def small(contest):
    """Options that make the demonstration take seconds."""
    settings = {
        "contest": "null",
        "references": contest,
        "data.size": 32,
        "lora.r": 2,
        "train.steps": 3,
        "train.batch_size": 2,
        "generate.steps": 14,
        "generate.batch_size": 2,
    }
    return [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]


def files(folder):
    return {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file() and p.name != "compiler.log"}


def last_line(result):
    return result.stdout.strip().splitlines()[-1]


def test_four_entries_and_a_board(jdart, small, tmp_path):
    out = tmp_path / "demo"
    result = jdart("demo", "--output", out, *small)
    assert result.exit_code == 0, result.output
    assert last_line(result) == f"Open {out / 'site' / 'index.html'}"

    board = json.loads((out / "site" / "board.json").read_text())["entries"]
    assert sorted(entry["name"] for entry in board) == sorted(ENTRIES.values())
    assert sorted(entry["rank"] for entry in board) == [1, 2, 3, 4]
    assert {entry["status"] for entry in board} == {"not comparable"}
    assert {tuple(entry["reasons"]) for entry in board} == {(REASON,)}
    assert REASON in (out / "site" / "index.html").read_text()

    notes = {}
    for folder, name in ENTRIES.items():
        run = json.loads((out / folder / "run.json").read_text())
        assert (run["name"], run["base"]["source"], run["local"]["weights"]) == (name, "toy", "toy")
        assert (out / folder / "entry.zip").exists()
        assert len(list((out / folder / "images").glob("*/*.png"))) == 4
        notes[folder] = json.loads(_text(out / folder / "images" / "00" / "Moon.png"))
    plain, lora, average, best = notes.values()
    assert (plain["loras"], plain["strength"]) == ([], None)
    assert (len(lora["loras"]), lora["strength"]) == (1, None)
    assert (average["loras"], average["strength"]) == (lora["loras"], load_config("demo").generate.strength)
    assert plain["base"] == lora["base"] == average["base"] == best["base"]
    assert best["loras"][0]["sha256"] == lora["loras"][0]["sha256"] and best["colour"]["guidance"] is not None
    choices, report = (
        json.loads((out / "4-jdart-best" / n).read_text()) for n in ("choices.json", "report/report.json")
    )
    assert report["scores"]["final"] == pytest.approx(choices["final"], abs=1e-12)

    assert not (out / "1-plain-base" / "lora").exists(), "nothing is trained for the plain base"
    assert (out / "2-lora" / "lora" / "00" / "loss.csv").exists()
    assert not (out / "3-lora-average-image" / "lora" / "00" / "loss.csv").exists(), "trained once"

    before = files(out)
    again = jdart("demo", "--output", out, *small)
    assert (again.exit_code, last_line(again)) == (0, last_line(result))
    assert again.output.count("nothing was done") == 4
    assert files(out) == before

    picture = out / "3-lora-average-image" / "images" / "00" / "Moon.png"
    assert "byte for byte the same" in jdart("redraw", picture).output, "the run folder names the toy"
    assert "byte for byte the same" in jdart("redraw", out / "1-plain-base" / "images" / "00" / "Moon.png").output
    assert jdart("redraw", "--base", "toy", picture).exit_code == 0


def test_stopped_and_begun_again_it_is_as_if_it_had_not_been(jdart, small, tmp_path, monkeypatch):
    import jdart.stages.drawing as drawing

    write, calls = drawing.write_picture, []

    def stop(*arguments):
        calls.append(1)
        if len(calls) == 10:  # in the third entry
            raise KeyboardInterrupt
        write(*arguments)

    monkeypatch.setattr(drawing, "write_picture", stop)
    assert jdart("demo", "--output", tmp_path / "stopped", *small).exit_code == 130
    assert not (tmp_path / "stopped" / "site").exists()
    monkeypatch.setattr(drawing, "write_picture", write)
    for name in ("stopped", "whole"):
        assert jdart("demo", "--output", tmp_path / name, *small).exit_code == 0
    for path in (tmp_path / "whole").glob("*/images/*/*.png"):
        assert (tmp_path / "stopped" / path.relative_to(tmp_path / "whole")).read_bytes() == path.read_bytes()


def test_without_scores_there_is_no_board(jdart, small, tmp_path):
    result = jdart("demo", "--output", tmp_path / "demo", *small, "--set", "score.weights=null", "--styles", "00")
    assert result.exit_code == 0
    assert "No board" in last_line(result)


def test_too_few_steps_for_guidance_are_told(jdart, small, tmp_path):
    result = jdart("demo", "--output", tmp_path / "demo", *small, "--set", "generate.steps=3")
    assert (result.exit_code, "jdart-best: colour.guidance" in result.output) == (2, True)
    assert not (tmp_path / "demo").exists()


def test_without_a_strength_there_are_no_four_entries(jdart, small, tmp_path):
    result = jdart("demo", "--output", tmp_path / "demo", *small, "--set", "generate.strength=null")
    assert (result.exit_code, "generate.strength" in result.output) == (2, True)
    assert not (tmp_path / "demo").exists()


def test_loras_of_another_run(jdart, config, tmp_path):
    """Taken over where there is none, and otherwise the run is like any other."""
    path = config(score={"weights": None})
    assert jdart("train", path, "--styles", "00").exit_code == 0
    there = tmp_path / "out" / "lora" / "00" / "pytorch_lora_weights.safetensors"
    result = jdart("run", path, "--output", tmp_path / "other", "--loras", tmp_path / "out")
    assert result.exit_code == 0
    loras = {style: tmp_path / "other" / "lora" / style / there.name for style in ("00", "01")}
    assert loras["00"].read_bytes() == there.read_bytes()
    assert load_lora(loras["01"]).settings["style"] == "01", "what the other lacks is trained"
    own = loras["00"].stat().st_mtime_ns
    again = jdart("generate", path, "--output", tmp_path / "other", "--loras", tmp_path / "out")
    assert (again.exit_code, loras["00"].stat().st_mtime_ns) == (0, own)
    missing = jdart("run", path, "--output", tmp_path / "third", "--loras", tmp_path / "nowhere")
    assert (missing.exit_code, "no such run folder" in missing.output) == (2, True)


@pytest.mark.parametrize("devices", [(), ("--devices", "cpu")])
def test_a_lora_that_weighs_nothing_is_not_trained(devices, jdart, config, tmp_path):
    """The pictures are those of a trained LoRA that is added with weight 0 by an override."""
    path = config(generate={"lora_weight": 0.0}, score={"weights": None}, base={"model": "toy"})
    if devices:  # other processes do not know of the archive in the tests' place
        from jdart.models.hub.locate import locate

        path = config(
            generate={"lora_weight": 0.0}, score={"weights": None}, base={"model": str(locate("toy", None)[0])}
        )
    assert jdart("run", path, "--styles", "00", *devices).exit_code == 0
    assert not (tmp_path / "out" / "lora").exists()
    if devices:
        return
    path = config(overrides={"00": {"lora_weight": 0.0}}, score={"weights": None}, base={"model": "toy"})
    assert jdart("run", path, "--styles", "00", "--output", tmp_path / "trained").exit_code == 0
    for picture in (tmp_path / "out" / "images").glob("*/*.png"):
        trained = tmp_path / "trained" / picture.relative_to(tmp_path / "out")
        assert (read_rgb(trained) == read_rgb(picture)).all()


def test_the_plan_of_a_base_that_is_not_trained(jdart, config, archives, measured_once):
    from jdart.models.hub.locate import locate

    path = config(generate={"lora_weight": 0.0}, base={"model": str(locate("toy", None)[0])})
    result = jdart("plan", path, "--json")
    assert result.exit_code == 0, result.output
    plan = json.loads(result.stdout)
    assert plan["training_seconds"] == 0
    assert plan["drawing_seconds"] > 0


def test_the_doctor_looks_at_what_comes_along(archives, monkeypatch, tmp_path):
    from jdart.cli import main

    def findings():
        result = CliRunner().invoke(main, ["doctor", "--base", "toy", "--weights", "toy", "--json"])
        return {finding["name"]: finding for finding in json.loads(result.stdout)}

    there = findings()
    assert there["base model"]["status"] == there["evaluator weights"]["status"] == "ok"
    assert str(archives["evaluator"]) in there["evaluator weights"]["found"]
    monkeypatch.setattr("jdart.doctor.toy_archive", lambda package: tmp_path / package / "toy.zip")
    missing = findings()
    assert missing["base model"]["status"] == "fail"
    assert "make toy" in missing["base model"]["cure"]


def test_diffusers_loads_the_unpacked_base_in_float32():
    """With nothing but the folder's name; of the toy's pictures, see test_toy_lab.py."""
    import torch
    from diffusers import StableDiffusionPipeline

    from jdart.models.hub.locate import locate

    pipe = StableDiffusionPipeline.from_pretrained(locate("toy", None)[0])
    assert {getattr(pipe, part).dtype for part in ("unet", "vae", "text_encoder")} == {torch.float32}


def test_lora_commands_take_the_toy(jdart, small, tmp_path):
    assert jdart("demo", "--output", tmp_path / "demo", *small, "--styles", "00").exit_code == 0
    lora = tmp_path / "demo" / "2-lora" / "lora" / "00" / "pytorch_lora_weights.safetensors"
    assert jdart("lora", "inspect", lora, "--base", "toy").exit_code == 0


def _text(path):
    from PIL import Image

    return Image.open(path).text["jdart"]
