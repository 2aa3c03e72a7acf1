"""What both programs are given, and how a program's time and memory are taken."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from contest.cores import cores
from contest.disk.files import write_json
from contest.errors import UserError

NOUNS = Path(__file__).resolve().parents[1] / "evaluator" / "clip_r_vocabulary.txt"
# `python -m` and a script would put this folder, and with it evaluator.py, before the package of that name
JDART_EVAL = (sys.executable, "-c", "from evaluator.cli import main; main()")


@dataclass(frozen=True)
class Shape:
    """How many styles, pictures of each, and the side of a picture."""

    styles: int
    references: int
    outputs: int
    size: int


@dataclass(frozen=True)
class Cost:
    """Wall time and processor time of all threads in seconds, peak resident memory in bytes."""

    seconds: float
    cpu: float
    peak: int

    def to_json(self) -> dict[str, float]:
        return {"seconds": self.seconds, "cpu_seconds": self.cpu, "peak_gb": self.peak / 1e9}


def nouns() -> list[str]:
    """The contest's distinct nouns in lower case, sorted."""
    return sorted({line.strip().lower() for line in NOUNS.read_text("utf-8").splitlines()})


def draw_contest(folder: Path, shape: Shape, seed: int) -> tuple[Path, Path]:
    """Write `folder`/references and `folder`/outputs and return them; the same pictures for the same seed."""
    references, outputs = folder / "references", folder / "outputs"
    names = nouns()
    for style in range(shape.styles):
        rng = np.random.default_rng([seed, style])
        prompts = [names[place] for place in rng.permutation(len(names))[: shape.outputs]]
        images, drawn = references / f"{style:02}" / "images", outputs / f"{style:02}"
        images.mkdir(parents=True)
        drawn.mkdir(parents=True)
        for place in range(shape.references):
            paint(rng, shape.size).save(images / f"{place}.png")
        for name in prompts:
            paint(rng, shape.size).save(drawn / f"{name}.png")
        write_json(images.parent / "prompt.json", {str(place): name for place, name in enumerate(prompts)})
    return references, outputs


def paint(rng: np.random.Generator, size: int) -> Image.Image:
    """Soft patches of colour under a grain that keeps the file as large as a real picture's."""
    patches = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    canvas = np.asarray(patches.resize((size, size), Image.Resampling.BICUBIC), dtype=np.float64)
    return Image.fromarray(np.clip(canvas + rng.normal(0, 6, canvas.shape), 0, 255).astype(np.uint8))


def measure(command: Sequence[object], log: Path, environment: Mapping[str, str]) -> Cost:
    """Run `command` alone to its end, as many threads as cores. Raises UserError with its last line if it fails.

    The caller must be small: Linux counts what it held at the start of the child towards the child's peak.
    """
    threads = {name: str(cores()) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    with log.open("wb") as stream:
        start = time.perf_counter()
        child = subprocess.Popen(
            [str(part) for part in command],
            stdout=stream,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
            env={**os.environ, **threads, "HF_HUB_OFFLINE": "1", **environment},
        )
        try:
            _, status, usage = os.wait4(child.pid, 0)
        except BaseException:
            child.kill()
            raise
        seconds = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        last = log.read_text("utf-8", errors="replace").strip().splitlines()[-1:]
        raise UserError(
            f"{log.stem} ended with exit code {child.returncode}, mend it and measure again: {' '.join(last)}"
        )
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Cost(seconds, usage.ru_utime + usage.ru_stime, peak)
