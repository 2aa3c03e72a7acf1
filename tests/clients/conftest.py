"""Other programs' own code, in a temporary folder: `make clients` (needs pip, and GitHub or CLIENTS_DIR).

Snapshots are cloned from their public addresses, pinned by commit, or taken from CLIENTS_DIR/<program>.
"""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

SNAPSHOTS = {
    "ComfyUI": ("https://github.com/comfyanonymous/ComfyUI", "a125cd84b054a57729b5eecab930ca9408719832"),
    "sd-scripts": ("https://github.com/kohya-ss/sd-scripts", "48d368fa557731ad0488c07304dfeba8c07910eb"),
}
# Beside what the tests' own environment has.
PACKAGES = ("einops", "torchsde", "trampoline", "toml", "lycoris-lora==4.1.3")


@pytest.fixture(scope="session")
def interpreter(tmp_path_factory):
    """Python with the programs' packages and, behind them, those of the tests' own environment."""
    folder = tmp_path_factory.mktemp("clients") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    (site,) = folder.glob("lib/python3.*/site-packages")
    (site / "ours.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", *PACKAGES]
    subprocess.run(pip, check=True)
    return python


@pytest.fixture(scope="session")
def snapshot(tmp_path_factory):
    """Program -> folder of its code; any for a program that is a package."""

    def find(program):
        if program not in SNAPSHOTS:
            return Path()
        if "CLIENTS_DIR" in os.environ:
            return Path(os.environ["CLIENTS_DIR"]).resolve() / program
        folder = tmp_path_factory.mktemp("snapshot") / program
        address, commit = SNAPSHOTS[program]
        subprocess.run(["git", "init", "--quiet", folder], check=True)
        subprocess.run(["git", "-C", folder, "fetch", "--quiet", "--depth=1", address, commit], check=True)
        subprocess.run(["git", "-C", folder, "checkout", "--quiet", "FETCH_HEAD"], check=True)
        return folder

    return find
