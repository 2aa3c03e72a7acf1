"""Training that is killed goes on as if it had never stopped."""

import os
import signal
import subprocess
import sys
import time

import pytest

SETTINGS = {
    "train": {"steps": 7, "checkpointing_steps": 2, "ema_decay": 0.9, "gradient_accumulation_steps": 2},
    "lora": {"lora_dropout": 0.2},
    "validation": {"steps": 3, "images": 1, "hold_out": 1, "loss_batches": 2},
    "styles": ["00"],
}
# A process that kills itself with SIGKILL, which nothing can catch, at the `count`-th call of a function.
KILLED = """
import importlib, os, signal, sys
from jdart.runtime import start
start("cpu")
where, count, arguments = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
module, name = where.rsplit(".", 1)
owner = importlib.import_module(module)
original = getattr(owner, name)
calls = []
def kill(*values, **options):
    calls.append(1)
    if len(calls) == count:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*values, **options)
setattr(owner, name, kill)
from jdart.cli import main
main(arguments)
"""
RESULTS = ("pytorch_lora_weights.safetensors", "loss.csv", "loss.png", "validation/3.png", "validation/6.png")


def train_and_die(where, count, path):
    """Runs `jdart train` in a process of its own until it kills itself.

    Compiled code crashes now and then before that, which `--devices` meets by one more try.
    """
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", KILLED, where, str(count), "train", path, "--device", "cpu"],
            capture_output=True,
            text=True,
            timeout=300,
        )
        if done.returncode != -signal.SIGSEGV:
            break
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr


def results(folder):
    return {name: (folder / "lora" / "00" / name).read_bytes() for name in RESULTS}


@pytest.fixture
def uninterrupted(jdart, config, tmp_path):
    assert jdart("train", config(**SETTINGS), "--output", tmp_path / "whole").exit_code == 0
    return results(tmp_path / "whole")


def test_killed_at_any_moment_it_gives_the_same_bytes(jdart, config, tmp_path, uninterrupted):
    """Killed once in each process: in a step, while a checkpoint is written, in a validation, before the LoRA is."""
    path = config(**SETTINGS)
    lora = tmp_path / "out" / "lora" / "00"
    train_and_die("jdart.training.loop.clip_by_norm", 2, path)  # before the first checkpoint
    assert not (lora / "checkpoint.safetensors").exists()
    train_and_die("jdart.training.loop.clip_by_norm", 4, path)
    first = (lora / "checkpoint.safetensors").read_bytes()
    assert len((lora / "loss.csv").read_text().splitlines()) == 1 + 3, "a row further than its checkpoint"
    train_and_die("jdart.training.validation.validation_loss", 1, path)
    assert (lora / "checkpoint.safetensors").read_bytes() == first
    # From step 2 on: the table begun anew is the first file that is synced, the strip the second, then the checkpoint.
    train_and_die("os.fsync", 3, path)
    assert (lora / "checkpoint.safetensors").read_bytes() == first, "the old one is whole while the new one is written"
    train_and_die("jdart.training.plots.loss_plot", 1, path)
    assert not (lora / "pytorch_lora_weights.safetensors").exists()
    result = jdart("train", path)
    assert result.exit_code == 0, result.output
    assert results(tmp_path / "out") == uninterrupted


def test_killed_from_outside_while_it_trains(jdart, config, tmp_path, uninterrupted):
    """kill -9 as a person would send it, wherever the process is by then."""
    path = config(**SETTINGS)
    table = tmp_path / "out" / "lora" / "00" / "loss.csv"
    command = "from jdart.cli import main; main()"
    for rows in (2, 5):
        process = subprocess.Popen(
            [sys.executable, "-c", command, "train", path, "--device", "cpu"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline and process.poll() is None:
            if table.exists() and len(table.read_text().splitlines()) > rows:
                break
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert jdart("train", path).exit_code == 0
    assert results(tmp_path / "out") == uninterrupted
