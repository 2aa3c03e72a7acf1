"""The engine jdiffusion with a stand-in for JDiffusion: what jdart's script is told, tells and makes of it."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jdart.engines.look import TESTED, installer_of

STAND_IN = Path(__file__).parent / "stand_in"
OWN = {
    "data": {"instance_prompt": "style_{id}", "template": "{object} in style_{id}"},
    "lora": {"target_modules": ["to_q", "to_k", "to_v"]},
    "train": {"max_grad_norm": None},
    "generate": {"sampler": "pndm", "strength": None},
}


@pytest.fixture
def python(tmp_path):
    """An interpreter that finds the stand-in, and records of all that JDiffusion needs."""
    site = tmp_path / "site"
    for name, version in {**TESTED, "safetensors": "0.4.5", "numpy": "1.24.4", "pillow": "10.4.0"}.items():
        record = site / f"{name}-{version}.dist-info"
        record.mkdir(parents=True)
        (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    path = tmp_path / "python"
    places = os.pathsep.join(map(str, (site, STAND_IN, STAND_IN / "JDiffusion" / "python")))
    path.write_text(f'#!/bin/sh\nPYTHONPATH={places} exec {sys.executable} -B "$@"\n')
    path.chmod(0o755)
    return path


@pytest.fixture
def lora(tmp_path, models, monkeypatch):
    """What the stand-in learns: a LoRA of the base's."""
    from jdart.lora.formats.file import LoraFile
    from jdart.lora.formats.writing import save_lora
    from jdart.lora.pairs import LoraPair
    from jdart.models.tensors import read_tensors

    weights = dict(read_tensors([models / "base" / "unet" / "diffusion_pytorch_model.safetensors"]))
    rng, pairs = np.random.default_rng(4), {}
    for name, weight in weights.items():
        if name.endswith(("to_q.weight", "to_k.weight", "to_v.weight")):
            a, b = rng.normal(size=(2, weight.shape[1])), rng.normal(size=(weight.shape[0], 2))
            pairs[name[: -len(".weight")]] = LoraPair(a.astype(np.float32), b.astype(np.float32), 2.0)
    path = tmp_path / "learnt.bin"
    save_lora(path, LoraFile({"unet": pairs}), "bin")
    monkeypatch.setenv("STAND_IN_LORA", str(path))
    return path


@pytest.fixture
def settings(config, python, lora):
    """Path of a configuration that the engine can do; call with changes as of `config`."""

    def write(**changes):
        merged = {name: {**value, **changes.pop(name, {})} for name, value in OWN.items()}
        engine = {"name": "jdiffusion", "python": str(python), **changes.pop("engine", {})}
        return config(**merged, engine=engine, **changes)

    return write


def pictures(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.glob("images/*/*.png"))}


def refusal(result):
    """The one line of an error."""
    assert result.exit_code == 2, result.output
    (line,) = [line for line in result.output.splitlines() if line.startswith("error: ")]
    return line


def test_the_whole_way(jdart, settings, lora, tmp_path):
    from jdart.data.seeds import image_seed, rng_for

    result = jdart("run", settings(), "--device", "cpu")
    assert result.exit_code == 0, result.output
    out = tmp_path / "out"
    for style in ("00", "01"):
        assert (out / "lora" / style / "pytorch_lora_weights.bin").read_bytes() == lora.read_bytes()
        with open(out / "lora" / style / "loss.csv") as table:
            rows = list(csv.DictReader(table))
        assert [(row["step"], row["loss"], row["learning_rate"]) for row in rows] == [
            ("1", "3", "0.005"),
            ("2", "1.5", "0.005"),
            ("3", "1", "0.005"),
        ]
    for style, prompt in (("00", "Moon"), ("00", "Ice cream"), ("01", "Dog"), ("01", "Sun")):
        with Image.open(out / "images" / style / f"{prompt}.png") as image:
            pixel, notes = image.getpixel((5, 5)), json.loads(image.text["jdart"])
        seed = image_seed(style, prompt, 0)
        noise = rng_for("noise", seed).standard_normal((4, 16, 16), np.float32)
        grey = int(np.clip(128 + 50 * noise[0, 0, 0], 0, 255))
        assert pixel == (3, grey, grey)
        assert notes["engine"] == {"name": "jdiffusion", "noise": "jdart"}
        assert notes["prompt"] == f"{prompt} in style_{style}" and notes["seed"] == seed
    assert (out / "entry.zip").exists() and (out / "report" / "report.json").exists()
    assert (out / "sheets" / "00.png").exists()
    assert "printed by the example" in (out / "logs" / "00-jdiffusion.log").read_text()
    run = json.loads((out / "run.json").read_text())
    assert run["config"]["engine"]["name"] == "jdiffusion"
    assert run["lora"]["00"]["file"] == "lora/00/pytorch_lora_weights.bin"

    again = jdart("run", settings(), "--device", "cpu")
    assert "Everything was there already" in again.output
    longer = refusal(jdart("run", settings(train={"max_grad_norm": None, "steps": 5}), "--device", "cpu"))
    assert "jdiffusion cannot train a LoRA further" in longer
    other = refusal(jdart("run", settings(), "--engine", "jdart", "--device", "cpu"))
    assert "engine.name: 'jdiffusion' -> None" in other


def test_a_killed_engine_is_finished_by_the_next_run(jdart, settings, tmp_path, monkeypatch):
    out = tmp_path / "out"
    monkeypatch.setenv("STAND_IN_STEPS", "2")
    line = refusal(jdart("run", settings(), "--device", "cpu"))
    assert "style 00: engine jdiffusion failed: ended by SIGKILL" in line and "00-jdiffusion.log" in line
    assert not list(out.rglob("*.bin")) and len((out / "lora/00/loss.csv").read_text().splitlines()) == 3

    monkeypatch.delenv("STAND_IN_STEPS")
    monkeypatch.setenv("STAND_IN_PICTURES", "1")
    assert "SIGKILL" in refusal(jdart("run", settings(generate={"batch_size": 1}), "--device", "cpu"))
    made = list(out.glob("images/00/*.png"))
    assert len(made) == 1
    before = made[0].stat().st_mtime_ns

    monkeypatch.delenv("STAND_IN_PICTURES")
    last = jdart("run", settings(generate={"batch_size": 1}), "--device", "cpu")
    assert last.exit_code == 0, last.output
    assert len(pictures(out)) == 4 and made[0].stat().st_mtime_ns == before


def test_in_processes_all_is_the_same(jdart, settings, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    assert jdart("generate", settings(generate={"lora_weight": 0.0}), "--device", "cpu").exit_code == 0
    result = jdart("run", settings(generate={"lora_weight": 0.0}), "--output", tmp_path / "two", "--devices", "cpu")
    assert result.exit_code == 0, result.output
    assert "00: drawing on cpu" in result.output and "01: done on cpu" in result.output
    assert pictures(tmp_path / "two") == pictures(tmp_path / "out") != {}


def test_a_picture_is_drawn_again(jdart, settings, python, tmp_path):
    path = settings(engine={"noise": "seed"})
    assert jdart("run", path, "--device", "cpu", "--styles", "00").exit_code == 0
    picture = tmp_path / "out" / "images" / "00" / "Moon.png"
    assert "byte for byte the same" in jdart("redraw", picture, "--device", "cpu").output
    alone = shutil.copy(picture, tmp_path / "alone.png")
    lora = tmp_path / "out" / "lora" / "00" / "pytorch_lora_weights.bin"
    named = ["redraw", alone, "--device", "cpu", "--lora", lora, "--base", tmp_path.parent / "none"]
    base = json.loads((tmp_path / "out" / "run.json").read_text())["base"]["source"]
    named[-1] = base
    assert "drawn by jdiffusion; name its interpreter with --engine-python" in refusal(jdart(*named))
    result = jdart("generate", "--from", picture, "--device", "cpu", "--engine-python", python)
    assert "byte for byte the same" in result.output


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data": {"instance_prompt": None}}, ["data.instance_prompt: it learns all pictures"]),
        ({"data": {"instance_prompt": "{object}"}}, ["data.instance_prompt"]),
        ({"lora": {"target_modules": ["to_q", "to_k", "to_v", "to_out.0"]}}, ["lora.target_modules", "to_out.0 never"]),
        ({"lora": {"lora_alpha": 7.0}}, ["lora.lora_alpha"]),
        ({"train": {"max_grad_norm": 1.0}}, ["train.max_grad_norm: it clips no gradient"]),
        ({"train": {"gradient_accumulation_steps": 2}}, ["train.gradient_accumulation_steps: leave it at 1"]),
        ({"generate": {"sampler": "ddim"}}, ["generate.sampler: it has pndm and unipc"]),
        ({"generate": {"guidance_scale": 0.5}}, ["generate.guidance_scale: it draws without guidance below 1"]),
        ({"prior": {"weight": 1.0}, "validation": {"steps": 2}}, ["prior.weight", "validation.steps"]),
        ({"text_encoder_lora": {"r": 2}}, ["text_encoder_lora.r: leave it at 0"]),
        ({"search": {}}, ["search: set it to null"]),
        ({"overrides": {"00": {"prompts": {"Moon": {"strength": 0.5}}}}}, ["overrides.00.prompts.Moon.strength"]),
        ({"overrides": {"00": {"guidance_scale": 0.0}}}, ["overrides.00.guidance_scale: it draws without guidance"]),
        ({"engine": {"name": "other"}}, ["engine.name: 'other'; there are jdiffusion"]),
        ({"engine": {"python": ""}}, ["engine.python: name the interpreter"]),
        ({"engine": {"noise": "white"}}, ["engine.noise: 'white'"]),
    ],
)
def test_what_it_would_ignore_is_refused_by_name(changes, words, jdart, settings, tmp_path):
    line = refusal(jdart("run", settings(**changes), "--device", "cpu"))
    assert all(word in line for word in words), line
    assert not (tmp_path / "out").exists()


def test_every_setting_of_the_sections_is_heeded_refused_or_free():
    from jdart.config import Config
    from jdart.config.honoured import HEEDED

    outside = {"name", "references", "contest", "styles", "output", "seed", "overrides", "score", "engine"}
    assert set(HEEDED) == set(vars(Config())) - outside


def test_a_loss_that_is_no_number_and_a_lora_it_cannot_load(jdart, settings, tmp_path, models):
    from jdart.lora.formats.file import LoraFile
    from jdart.lora.formats.writing import save_lora
    from jdart.lora.pairs import LoraPair

    wild = settings(train={"max_grad_norm": None, "learning_rate": 2.0})
    assert "style 00: the loss is nan at step 1; lower train.learning_rate" in refusal(jdart("run", wild))
    text = {"text_model.encoder.layers.0.self_attn.q_proj": LoraPair(np.ones((2, 32)), np.ones((32, 2)), 2.0)}
    put = tmp_path / "put"
    save_lora(put / "lora" / "00" / "pytorch_lora_weights.safetensors", LoraFile({"text_encoder": text}))
    own = ("run", settings(), "--styles", "00", "--output", put)
    assert "cannot load a LoRA with text_encoder.text_model" in refusal(jdart(*own))
    layer = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
    dora = LoraPair(
        *(np.ones(shape, np.float32) for shape in ((2, 64), (64, 2))), 2.0, False, np.ones((64, 1), np.float32)
    )
    save_lora(put / "lora" / "00" / "pytorch_lora_weights.safetensors", LoraFile({"unet": {layer: dora}}))
    assert f"cannot load a LoRA with the magnitudes of a DoRA ({layer}) in it" in refusal(jdart(*own))


def test_a_lora_is_handed_over_with_its_alpha_in_the_numbers(tmp_path):
    """JDiffusion takes alpha to be the rank, whatever a file says."""
    from safetensors.torch import load_file
    from torch import save

    from jdart.engines.training import bin_lora
    from jdart.lora.formats.file import LoraFile
    from jdart.lora.formats.reading import load_lora
    from jdart.lora.formats.writing import save_lora
    from jdart.lora.pairs import LoraPair

    layer = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
    pair = LoraPair(np.ones((2, 64), np.float32), np.full((64, 2), 3, np.float32), 8.0)
    save_lora(tmp_path / "kohya.safetensors", LoraFile({"unet": {layer: pair}}), "kohya")
    save(load_file(tmp_path / "kohya.safetensors"), tmp_path / "kohya.bin")
    for name in ("kohya.safetensors", "kohya.bin"):
        out = tmp_path / name.partition(".")[2]
        out.mkdir()
        read = load_lora(bin_lora(tmp_path / name, out)).pairs["unet"][layer]
        assert read.alpha == read.rank == 2
        np.testing.assert_array_equal(read.b, pair.b * 4)


@pytest.mark.parametrize("command", ["search", "plan", "ablate", "sweep"])
def test_commands_of_jdarts_own_engine(command, jdart, settings, tmp_path):
    path = settings()
    if command == "ablate":
        arguments = ["ablate", path, "--over", "generate.steps=2,3"]
    elif command == "sweep":
        pytest.importorskip("optuna")
        sweep = {"base": path, "trials": 2, "space": {"lora.r": {"choices": [1, 2]}}}
        (tmp_path / "sweep.yaml").write_text(json.dumps(sweep))
        arguments = ["sweep", tmp_path / "sweep.yaml"]
    else:
        arguments = [command, path]
    assert f"jdart {command} works with jdart's own engine, not with jdiffusion" in refusal(jdart(*arguments))


def test_options_choose_the_engine(jdart, config, python, lora, tmp_path):
    path = config(**OWN)
    missing = refusal(jdart("run", path, "--engine", "jdiffusion"))
    assert "engine.python: name the interpreter" in missing and "--engine-python" in missing
    wrong = refusal(jdart("run", path, "--engine", "jdart", "--engine-python", python))
    assert "--engine-python: jdart itself runs in this interpreter" in wrong
    nowhere = refusal(jdart("run", path, "--engine", "jdiffusion", "--engine-python", tmp_path / "a: b"))
    assert "a: b: No such file or directory" in nowhere and "jdart engine install jdiffusion DIR" in nowhere
    assert not (tmp_path / "out").exists()
    options = ("--engine", "jdiffusion", "--engine-python", python, "--device", "cpu", "--styles", "00")
    assert jdart("train", path, *options).exit_code == 0
    assert jdart("generate", path, *options).exit_code == 0
    assert len(pictures(tmp_path / "out")) == 2


def test_the_doctor_looks_at_its_environment(jdart, python, tmp_path):
    def look():
        found = json.loads(jdart("doctor", "--engine-python", python, "--json").output)
        return {row["name"][len("jdiffusion: ") :]: row for row in found if row["name"].startswith("jdiffusion: ")}

    rows = look()
    assert rows["its packages"]["status"] == "ok" and "JDiffusion 1.0" in rows["its packages"]["found"]
    assert rows["its training script"]["found"].endswith("examples/dreambooth/train.py")
    if sys.version_info[:2] != (3, 9):
        assert rows["interpreter"]["status"] == "warn" and "not tested" in rows["interpreter"]["cure"]
    shutil.rmtree(tmp_path / "site" / "peft-0.10.0.dist-info")
    shutil.move(tmp_path / "site" / "jtorch-0.2.0.dist-info", tmp_path / "site" / "gone")
    packages = look()["its packages"]
    assert packages["status"] in ("fail", "warn") and "jtorch" in packages["found"]
    assert "jdart engine install jdiffusion DIR" in packages["cure"]
    python.write_text("#!/bin/sh\necho no module >&2\nexit 3\n")
    assert look()["interpreter"]["status"] == "fail" and "no module" in look()["interpreter"]["found"]


def test_the_installer(jdart, tmp_path):
    printed = jdart("engine", "install", "jdiffusion", tmp_path / "env", "--print")
    assert printed.output == installer_of("jdiffusion").read_text() and not (tmp_path / "env").exists()
    pins = [line.split()[2] for line in printed.output.splitlines() if line.startswith("at ")]
    assert len(pins) == 5 and all(len(pin) == 40 for pin in pins)
    subprocess.run(["sh", "-n", installer_of("jdiffusion")], check=True)
    other = tmp_path / "other"
    other.write_text("#!/bin/sh\nexit 1\n")
    other.chmod(0o755)
    result = jdart("engine", "install", "jdiffusion", tmp_path / "env", "--python", other)
    assert "not finished, see above" in refusal(result) and not (tmp_path / "env").exists()
