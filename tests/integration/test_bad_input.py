"""Whatever is wrong with a file or a setting: exit code 2, one line that names it, and nothing half-written."""

import errno
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
import zlib

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def refused(jdart, tmp_path):
    """Run `jdart`; it must end with 2 and one line that has all `words`."""

    def run(*arguments, words):
        result = jdart(*arguments)
        assert result.exit_code == 2, result.output
        errors = [line for line in result.output.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1
        assert all(word in errors[0] for word in words), errors[0]
        assert not list(tmp_path.rglob("*.part"))

    return run


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("train.learning_rate=1e-4", ["train.learning_rate", "1.0e-04"]),
        ("train.steps=1e3", ["train.steps", "here 1000"]),
        ("train.learning_rate=.inf", ["train.learning_rate", "finite"]),
        ("generate.guidance_scale=.nan", ["generate.guidance_scale", "finite"]),
        ("generate.steps=1001", ["generate.steps", "1 to 1000"]),
        ("generate.strength=0.1", ["generate.strength", "no step"]),
        ("prior.steps=5000", ["prior.steps", "1 to 1000"]),
        ("data.size=1048576", ["data.size", "4096"]),
        ("train.adam_beta2=1", ["train.adam_beta2", "[0, 1)"]),
        ("lora.r=0", ["lora.r", "below 1"]),
        ("lora.target_modules=3", ["lora.target_modules", "list of texts"]),
        ("lora.target_modules=to_(q", ["lora.target_modules", "regular expression"]),
        ('output=""', ["output", "empty"]),
        ("score.profile=mine", ["mine", "official-2024"]),
        ("=3", ["section.key=value"]),
        ("train..steps=3", ["section.key=value"]),
        ("train.steps", ["section.key=value"]),
        ("train=", ["train", "section"]),
        ("a.b.c.d=1", ["a: unknown setting"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_settings(override, words, refused, config):
    refused("run", config(), "--set", override, words=words)


@pytest.mark.parametrize("styles", ["", " , ", "77", "../00"])
def test_styles(styles, refused, config):
    refused("run", config(), "--styles", styles, words=["style"])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xff\xfen\0a\0m\0e\0", ["UTF-8"]),
        ("name: Männchen".encode("latin-1"), ["UTF-8"]),
        (b"- a\n- b\n", ["mapping"]),
        (b"train:\n\tsteps: 3\n", ["not valid YAML", "line 2"]),
        (b"train: {steps: 3}\ntrain: {batch_size: 1}\n", ["'train' is given twice"]),
        (b"name: 2026-13-45\n", ["not valid YAML", "month"]),
    ],
)
def test_configuration_files(data, words, refused, tmp_path):
    path = tmp_path / "odd.yaml"
    path.write_bytes(data)
    refused("run", path, words=["odd.yaml", *words])


def test_a_byte_order_mark_is_no_fault(jdart, config, contest):
    from pathlib import Path

    for path in (Path(config()), contest / "00" / "prompt.json"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert jdart("train", config(), "--styles", "00").exit_code == 0


def edit(part, **changes):
    def change(base):
        path = base / part / ("scheduler_config.json" if part == "scheduler" else "config.json")
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


def write(name, data):
    def change(base):
        if (base / name).is_dir():
            shutil.rmtree(base / name)
        (base / name).write_bytes(data)

    return change


def empty(folder):
    def change(base):
        shutil.rmtree(base / folder)
        (base / folder).mkdir()

    return change


def other_ids(base):
    path = base / "tokenizer" / "vocab.json"
    path.write_text(json.dumps({word: number + 60000 for word, number in json.loads(path.read_text()).items()}))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (write("unet/config.json", b"{"), ["unet/config.json", "not valid JSON"]),
        (write("vae/config.json", b"[1]"), ["VAE", "JSON object"]),
        (write("scheduler/scheduler_config.json", b"[]"), ["scheduler", "JSON object"]),
        (edit("unet", block_out_channels="32,64"), ["UNet", "block_out_channels is '32,64'"]),
        (edit("unet", block_out_channels=[0, 64]), ["UNet", "block_out_channels"]),
        (edit("unet", norm_num_groups=7), ["UNet", "norm_num_groups is 7", "does not divide"]),
        (edit("unet", attention_head_dim=[5, 4]), ["UNet", "attention_head_dim is 5", "does not divide"]),
        (edit("unet", layers_per_block=None), ["UNet", "layers_per_block is None"]),
        (edit("unet", cross_attention_dim=64), ["cross_attention_dim is 64", "hidden_size is 32"]),
        (edit("vae", norm_num_groups=0), ["VAE", "norm_num_groups is 0"]),
        (edit("vae", scaling_factor=0), ["VAE", "scaling_factor is 0"]),
        (edit("vae", latent_channels=16), ["in_channels is 4", "latent_channels is 16"]),
        (edit("text_encoder", num_attention_heads=7), ["text encoder", "num_attention_heads is 7"]),
        (edit("text_encoder", hidden_size="32"), ["text encoder", "hidden_size is '32'"]),
        (edit("scheduler", beta_start=None), ["scheduler", "number"]),
        (edit("scheduler", beta_end=2), ["scheduler", "no schedule"]),
        (edit("scheduler", num_train_timesteps=0), ["scheduler", "no schedule"]),
        (write("unet/diffusion_pytorch_model.safetensors", b""), ["unet", "fetch it again"]),
        (write("vae/diffusion_pytorch_model.safetensors", b"\x40" * 99), ["vae", "fetch it again"]),
        (write("tokenizer/vocab.json", b"garbage"), ["tokenizer", "not a CLIP tokenizer"]),
        (write("tokenizer/merges.txt", b""), ["tokenizer", "not CLIP's vocabulary"]),
        (write("tokenizer", b""), ["tokenizer", "not a CLIP tokenizer"]),
        (empty("tokenizer"), ["tokenizer", "CLIP"]),
        (other_ids, ["tokenizer", "49408"]),
    ],
)
def test_bases(change, words, refused, config, models, tmp_path):
    base = tmp_path / "base"
    shutil.copytree(models / "base", base)
    change(base)
    refused("run", config(base={"model": str(base)}), words=words)
    assert not (tmp_path / "out" / "lora").exists()


def bomb():
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "data", [b"", b"a text", b"\x89PNG\r\n\x1a\n" + b"\0" * 20, bomb()], ids=["empty", "text", "header only", "bomb"]
)
def test_a_broken_picture_of_the_last_style_is_found_before_the_first_is_trained(
    data, refused, config, contest, tmp_path
):
    (contest / "01" / "images" / "star.png").write_bytes(data)
    refused("run", config(), words=["star.png", "replace or remove it"])
    assert not (tmp_path / "out" / "lora").exists()


@pytest.mark.parametrize(
    ("mode", "name"),
    [("RGBA", "star.png"), ("L", "star.png"), ("I;16", "star.png"), ("1", "star.png"), ("CMYK", "star.jpg")],
)
def test_every_kind_of_picture_can_be_learnt_from(mode, name, jdart, config, contest):
    (contest / "00" / "images" / "star.png").unlink()
    Image.new(mode, (1, 1) if mode == "L" else (64, 48)).save(contest / "00" / "images" / name)
    assert jdart("train", config(), "--styles", "00").exit_code == 0


@pytest.mark.parametrize(
    ("prompts", "words"),
    [
        ("", ["not valid JSON"]),
        ("{}", ["at least one"]),
        ("[]", ["expected {"]),
        ('{"0": 5}', ["must be text"]),
        ('{"0": "a/b"}', ["'a/b'"]),
        ('{"0": ".."}', ["'..'"]),
        ('{"0": "' + "long " * 60 + 'name"}', ["200 bytes"]),
    ],
)
def test_prompts(prompts, words, refused, config, contest):
    (contest / "00" / "prompt.json").write_text(prompts)
    refused("run", config(), words=words)


@pytest.mark.parametrize("place", ["file", "file/inside", "/proc/nope", "/dev/null/inside", "link", "x" * 300])
def test_outputs_that_cannot_be(place, refused, config, tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to("/nowhere/at/all")
    refused("run", config(), "--output", tmp_path / place, words=["choose another"])
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    "change",
    [{"schema_version": 2}, {"styles": [1]}, {"styles": None}, {"config": []}, {"base": {}}, {"base": "x"}],
    ids=str,
)
def test_run_json(change, refused, jdart, config, tmp_path):
    path = config(score={"weights": None})
    assert jdart("train", path, "--styles", "00").exit_code == 0
    file = tmp_path / "out" / "run.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    before = file.read_bytes()
    refused("run", path, words=["run.json", "not a run of this version"])
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("metadata", "alpha", "words"),
    [
        ({"lora_adapter_metadata": "{"}, None, ["lora_adapter_metadata", "JSON object"]),
        ({"lora_adapter_metadata": "[1]"}, None, ["lora_adapter_metadata", "JSON object"]),
        ({"lora_adapter_metadata": '{"unet.lora_alpha": "x"}'}, None, ["alpha"]),
        ({"jdart": "[1]"}, None, ["jdart", "JSON object"]),
        ({}, np.zeros(3, np.float32), ["alpha"]),
    ],
)
def test_lora_metadata(metadata, alpha, words, refused, tmp_path):
    from safetensors.numpy import save_file

    tensors = {"unet.a.lora_A.weight": np.ones((1, 4), np.float32), "unet.a.lora_B.weight": np.ones((4, 1), np.float32)}
    if alpha is not None:
        tensors["unet.a.alpha"] = alpha
    save_file(tensors, tmp_path / "odd.safetensors", metadata=metadata)
    refused("lora", "inspect", tmp_path / "odd.safetensors", words=["odd.safetensors", *words])


def test_a_file_that_is_no_lora_is_not_recommended_to_be_executed(refused, jdart, tmp_path):
    import pickle

    (tmp_path / "odd.bin").write_bytes(pickle.dumps({"a": os.getcwd}, protocol=2))
    refused("lora", "inspect", tmp_path / "odd.bin", words=["odd.bin", "plain tensors"])
    assert "weights_only" not in jdart("lora", "inspect", tmp_path / "odd.bin").output


def test_what_would_stop_the_score_is_said_before_training(refused, config, models, tmp_path):
    weights = tmp_path / "weights"
    shutil.copytree(models / "weights", weights)
    (weights / "RN50.pt").unlink()
    refused("run", config(score={"weights": str(weights)}), words=["incomplete", "RN50.pt"])
    assert not (tmp_path / "out" / "lora").exists()


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("std::bad_alloc"),
        RuntimeError(
            "Wrong inputs arguments.\nFailed reason:Resource temporarily unavailable\n"
        ),  # a thread of Jittor's
        RuntimeError("could not create a primitive"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_too_little_memory(error, refused, config, monkeypatch):
    def full(*_):
        raise error

    monkeypatch.setattr("jdart.training.examples.resize_short_side", full)
    refused("run", config(), words=["memory", "data.size"])


def test_a_reference_that_changes_during_training(refused, jdart, config, contest, tmp_path, monkeypatch):
    from jdart.stages import training

    steps, path = training._steps, contest / "00" / "images" / "cow.png"
    before = path.read_bytes()

    def change(*given):
        yield from steps(*given)
        path.write_bytes((contest / "00" / "images" / "star.png").read_bytes())

    with monkeypatch.context() as patch:
        patch.setattr(training, "_steps", change)
        given = ("train", config(train={"checkpointing_steps": 1}), "--styles", "00")
        refused(*given, words=["style 00", "references", "changed while it was trained"])
    lora = tmp_path / "out" / "lora" / "00" / "pytorch_lora_weights.safetensors"
    assert not lora.exists()
    path.write_bytes(before)
    assert jdart(*given).exit_code == 0
    assert lora.exists()


def test_a_killed_process_leaves_nothing_that_stops_the_next(jdart, config, tmp_path, monkeypatch):
    """What a killed process was writing stays behind as a hidden file; it may not lie among the entry's pictures."""
    path = config(score={"weights": None})
    assert jdart("train", path).exit_code == 0
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda *_: None)
        jdart("generate", path)
    assert list((tmp_path / "out").glob("*.part"))
    assert not list((tmp_path / "out" / "images").rglob("*.part"))
    assert jdart("run", path).exit_code == 0
    assert not list((tmp_path / "out").rglob("*.part"))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_real_signal_while_training(number, code, config, tmp_path):
    """As a terminal sends it: to the process and all its children."""
    command = [sys.executable, "-c", "from jdart.cli import main; main()", "train", config(train={"steps": 100000})]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # tests in the background have it ignored
    )
    until = time.monotonic() + 300
    while not (tmp_path / "out" / "compiler.log").exists() and time.monotonic() < until:
        time.sleep(0.1)
    time.sleep(2)
    os.killpg(process.pid, number)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == code, output
    assert "run the same command again" in output
    assert "Traceback" not in output
    assert not list((tmp_path / "out").rglob("*.part"))
