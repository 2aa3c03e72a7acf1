"""Runs what a page says, and a folder in which the general pages' names stand for small things."""

import os
import shlex
import shutil
import subprocess
import sys
from contextlib import contextmanager
from glob import glob
from pathlib import Path

import numpy as np
from click.testing import CliRunner
from PIL import Image, ImageOps
from shell_blocks import PROGRAMS, ROOT, lines_of

from contest.disk.files import write_json
from evaluator.cli import main as evaluate
from evaluator.weights.miniature import write_miniature
from jdart.cli import main as jdart
from leaderboard.cli import main as board
from organiser.cli import main as organise
from submission.cli import main as submit

CLI = dict(zip(PROGRAMS, (jdart, submit, evaluate, board, organise)))
CODES = {"doctor": {0, 1}, "diff": {1}}  # the others end with 0


def run_page(page, folder, cache, few=lambda text: text, shell=False, there=frozenset()):
    """Run a page's blocks in a folder with what it takes for granted, but for lines with marks and those in `there`."""
    before = None
    for line in lines_of(page):
        if not to_run(line) or line.text in there:
            continue
        code, said = (in_a_shell if shell else here)(few(line.text), folder, cache)
        wanted = {1} if before == "rm" else next((CODES[word] for word in line.words if word in CODES), {0})
        assert code in wanted, f"{line}\n{said}"
        before = line.words[0]


def to_run(line):
    return not line.quoted and line.mark is None


def in_a_shell(text, folder, cache):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "JDART_CACHE": str(cache)}
    done = subprocess.run(text, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def here(text, folder, cache):
    """The same without a process, which would import PyTorch each time."""
    name, *words = shlex.split(text)
    with working_in(folder):
        words = [one for word in words for one in (sorted(glob(word)) if "*" in word else [word])]
        done = CliRunner().invoke(CLI[name], words, env={"JDART_CACHE": str(cache)})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


@contextmanager
def working_in(folder):
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def furnish(folder, cache):
    """What the general pages name: one style of the toy contest for contest-a, miniature networks for weights."""
    toy, styles = ROOT / "data" / "sample" / "00", folder / "contest-a" / "00"
    shutil.copytree(toy, styles)
    write_miniature(folder / "weights", 11)
    for name, change in (("safe", lambda image: image), ("baseline", ImageOps.flip)):
        run = folder / "outputs" / name
        (run / "images" / "00").mkdir(parents=True)
        for path in (ROOT / "data" / "held_out" / "00").glob("*.png"):
            with Image.open(path) as image:
                change(image).save(run / "images" / "00" / path.name)
        local = {"references": "../../contest-a", "weights": "../../weights"}
        run_json = {"schema_version": 1, "name": name, "contest": "toy", "styles": ["00"], "seed": 0, "local": local}
        write_json(run / "run.json", {**run_json, "images": "images"})
        assert here(f"jdart-eval score outputs/{name}", folder, cache)[0] == 0
    for run, copy in (("safe", "A"), ("baseline", "B"), ("baseline", "outputs/new-run")):
        shutil.copytree(folder / "outputs" / run, folder / copy)
    shutil.copytree(folder / "A" / "images", folder / "YOUR-ENTRY")
    (folder / "entries").mkdir()
    for source, archive in (("A", "before"), ("B", "after"), ("A", "entries/one"), ("B", "entries/two")):
        shutil.make_archive(str(folder / archive), "zip", folder / source / "images")
    (folder / "my.yaml").write_text(here("jdart config demo", folder, cache)[1], "utf-8")
    write_loras(folder)


def write_loras(folder):
    """A base model BASE, and three LoRAs of one layer that fit it."""
    from jdart.lora.formats.file import LoraFile
    from jdart.lora.formats.writing import save_lora
    from jdart.lora.inspect import shapes_of
    from jdart.lora.pairs import LoraPair
    from jdart.models.presets import write_base
    from jdart.runtime import start

    start("cpu")
    write_base(folder / "BASE", "tiny", 0)
    layer, (height, width) = next(
        (name, shape) for name, shape in shapes_of(folder / "BASE", None)["unet"].items() if name.endswith("to_q")
    )
    for seed, name in enumerate(("lora", "a", "b")):
        rng = np.random.default_rng(seed)
        a, b = (rng.normal(size=size).astype(np.float32) for size in ((2, width), (height, 2)))
        save_lora(folder / f"{name}.safetensors", LoraFile({"unet": {layer: LoraPair(a, b, 2.0)}}))
