"""A training whose loss does not fall says so, in a log of plain lines, as `nohup jdart train &` leaves it."""

import json
import os
import subprocess
import sys
import unicodedata

from jdart.training.watch import LEAST


def test_a_loss_that_stands_still_is_told_in_a_plain_log(config, tmp_path):
    path = config(seed=1, train={"steps": LEAST, "batch_size": 1, "learning_rate": 1e-9}, data={"size": 16})
    log = tmp_path / "nohup.out"
    environment = {**os.environ, "TERM": "xterm-256color"}
    command = [sys.executable, "-m", "jdart", "train", path, "--styles", "00", "--device", "cpu"]
    with open(log, "wb") as stream:
        place = {"stdin": subprocess.DEVNULL, "stdout": stream, "stderr": subprocess.STDOUT}
        subprocess.run(command, **place, env=environment, check=True, timeout=300, start_new_session=True)
    text = log.read_text("utf-8")
    assert {letter for letter in text if unicodedata.category(letter) == "Cc"} == {"\n"}
    (line,) = (line for line in text.splitlines() if line.startswith("WARNING") and "style 00: the loss is" in line)
    assert f"over the first third of {LEAST} steps" in line
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert run["lora"]["00"]["loss"] == "standing still"
    assert "the loss is standing still (" in line
