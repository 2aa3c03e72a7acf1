"""Time of building a large board and of adding an entry to it, and the size of its first page.

    python benchmarks/board.py --json board.json
    python benchmarks/board.py --scale --json scale.json      # how they grow from 200 entries to 1,000

200 entries of 15 styles x 25 pictures, with small WebP files as the evaluator writes them; README.md beside this file
says how they are made.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.table import Table
from workload import Cost, measure, nouns, paint

from contest.console import FINDINGS
from contest.cores import cores, processor
from contest.disk.files import write_json
from contest.errors import UserError

JDART_BOARD = (sys.executable, "-c", "from leaderboard.cli import main; main()")
ROOT = Path(__file__).resolve().parents[1]
SEED, SIDE, REFERENCES, BASES = 11, 160, 10, 16
TARGETS = {"build_seconds": 120.0, "add_seconds": 5.0, "index_bytes": 300_000.0}  # on 2 cores
TIMES = 5  # as many entries in the larger board of --scale
SCALE_TARGETS = {"build_ratio": 4.0, "add_ratio": 1.5, "index_bytes": 1_000_000.0}  # the last is the larger board's
METRICS = ("dino", "hist", "hist_rgb", "hist_hsv", "lpips", "clip_iqa", "clip_r")


@dataclass(frozen=True)
class Shape:
    """How many entries, styles, pictures of a style, and which share of the pictures only one entry has."""

    entries: int = 200
    styles: int = 15
    pictures: int = 25
    distinct: float = 0.5


class Painter:
    """WebP files as the evaluator's thumbnails are. `make` gives different ones for different numbers."""

    def __init__(self, folder: Path) -> None:
        rng = np.random.default_rng(SEED)
        self._bases = []
        for i in range(BASES):
            path = folder / f"base-{i}.webp"
            paint(rng, SIDE).save(path, "WEBP", quality=80, method=4)
            self._bases.append(path.read_bytes())

    def make(self, number: int) -> bytes:
        """A base with the number after its picture's bits, in its chunk, where no decoder looks."""
        base = self._bases[number % BASES]
        chunk = base[20 : 20 + int.from_bytes(base[16:20], "little")]
        chunk += bytes(len(chunk) % 2) + number.to_bytes(8, "little")
        head = base[8:16] + len(chunk).to_bytes(4, "little")
        return b"RIFF" + (len(head) + len(chunk)).to_bytes(4, "little") + head + chunk


def write_entry(folder: Path, number: int, shape: Shape, painter: Painter) -> Path:
    """One report folder with its thumbnails; the same for the same number."""
    rng = np.random.default_rng([SEED, number])
    names = [name.capitalize() for name in nouns()]
    images: dict[str, dict[str, Any]] = {}
    for style in range(shape.styles):
        start = style * 7 % max(1, len(names) - shape.pictures)
        group = images[f"{style:02}"] = {}
        for i, name in enumerate(names[start : start + shape.pictures]):
            group[f"{name}.png"] = _picture(rng, name, names)
            own = rng.random() < shape.distinct
            one = (style * shape.pictures + i) + (number + 1) * 100_000 * own
            _write(folder / "thumbnails" / "outputs" / f"{style:02}" / f"{name}.webp", painter.make(one))
        for i in range(REFERENCES):
            place = folder / "thumbnails" / "references" / f"{style:02}" / f"{names[-1 - i]}.webp"
            _write(place, painter.make(10_000_000 + style * 100 + i))
    write_json(folder / "report.json", _report(rng, number, images))
    meta = {"team": f"Team {number % 40}", "tags": [f"tag {number % 7}"], "date": f"2024-06-{1 + number % 30:02}"}
    write_json(folder / "entry.json", meta)
    return folder


def _picture(rng: np.random.Generator, name: str, names: Sequence[str]) -> dict[str, Any]:
    hit = bool(rng.random() < 0.9)
    seen = [names[i].lower() for i in rng.integers(0, len(names), 4)]
    scores = {key: float(rng.random()) for key in ("dino", "hist_rgb", "hist_hsv", "lpips", "clip_iqa")}
    top5 = [name.lower(), *seen] if hit else [*seen, "cake"]
    return {**scores, "clip_r_correct": hit, "clip_r_rank": 1 if hit else 17, "clip_r_top5": top5}


def _report(rng: np.random.Generator, number: int, images: dict[str, dict[str, Any]]) -> dict[str, Any]:
    scores = {key: float(rng.uniform(0.3, 0.7)) for key in ("dino", "hist", "lpips", "clip_iqa", "clip_r")}
    scores["fid"] = float(rng.uniform(1, 15))
    style = 0.2 * scores["dino"] + 0.4 * scores["hist"] + 0.4 * (1 - scores["lpips"])
    text, quality = 0.5 * scores["clip_r"], 0.4 * (20 - scores["fid"]) / 20 + 0.1 * scores["clip_iqa"]
    final = style * (text + quality)
    return {
        "schema_version": 1,
        "profile": "official-2024",
        "contest": "benchmark",
        "submission": {"name": f"Entry number {number}", "sha256": f"{number:064x}"},
        "scores": {**scores, "style": style, "text": text, "quality": quality, "final": final},
        "intervals": {"final": [final - 0.02, final + 0.02]},
        "styles": {
            style: {**{key: float(rng.random()) for key in METRICS}, "images": len(group)}
            for style, group in images.items()
        },
        "images": images,
        "provenance": {
            "references": {"name": "benchmark", "sha256": "ef" * 32},
            "weights": {"RN50.pt": "cd" * 32},
            "versions": {"python": "3.11"},
            "device": "cpu",
            "comparable": True,
            "complete": True,
            "not_comparable_because": [],
        },
    }


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def run(shape: Shape, scratch: Path | None) -> dict[str, Any]:
    """Build, build again with nothing changed, add one entry."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir=scratch) as temporary:
        folder = Path(temporary)
        painter = Painter(folder)
        for number in range(shape.entries):
            write_entry(folder / "all" / f"{number:04}", number, shape, painter)
        new, site = write_entry(folder / "new", shape.entries, shape, painter), folder / "site"
        commands: dict[str, Sequence[object]] = {
            "build": ("build", folder / "all", "-o", site),
            "build again": ("build", folder / "all", "-o", site),
            "add": ("add", site, new),
        }
        environment = {"JDART_CACHE": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
        costs: dict[str, Cost] = {}
        for name, command in commands.items():
            os.sync()  # what one of them wrote is not to slow the next
            costs[name] = measure([*JDART_BOARD, *command], folder / f"{name}.log", environment)
        index = site / "index.html"
        entries = json.loads((site / "board.json").read_text("utf-8"))["entries"]
        files = [path for path in site.rglob("*") if path.is_file()]
        figures = {
            "build_seconds": costs["build"].seconds,
            "add_seconds": costs["add"].seconds,
            "index_bytes": index.stat().st_size,
        }
        return {
            "shape": asdict(shape),
            "cores": cores(),
            "processor": processor(),
            "load_before": load,
            "programs": {name: cost.to_json() for name, cost in costs.items()},
            **figures,
            "entries": len(entries),
            "files": len(files),
            "thumbnails": sum(path.suffix == ".webp" for path in files),
            "site_bytes": sum(path.stat().st_size for path in files),
            **judged(figures, TARGETS if shape == Shape() else {}),
        }


def run_scale(shape: Shape, scratch: Path | None) -> dict[str, Any]:
    """Both boards, one after the other, and how much more the larger one takes."""
    boards = [run(one, scratch) for one in (shape, replace(shape, entries=TIMES * shape.entries))]
    small, large = boards
    figures = {
        "build_ratio": large["build_seconds"] / small["build_seconds"],
        "add_ratio": large["add_seconds"] / small["add_seconds"],
        "index_bytes": large["index_bytes"],
    }
    return {"boards": boards, **figures, **judged(figures, SCALE_TARGETS if shape == Shape() else {})}


def judged(figures: dict[str, Any], targets: dict[str, float]) -> dict[str, Any]:
    """The targets, and which of them are missed: a figure has to stay below."""
    return {"targets": targets, "missed": [key for key, limit in targets.items() if figures[key] >= limit]}


def show(result: dict[str, Any]) -> None:
    """What was measured, as a table a board, and the targets."""
    console = Console()
    for board in result.get("boards", [result]):
        _show_board(console, board)
    for key in ("build_ratio", "add_ratio"):
        if key in result:
            console.print(f"{key} {result[key]:.2f}", highlight=False)
    for key, limit in result["targets"].items():
        verdict = "[red]missed[/red]" if key in result["missed"] else "[green]met[/green]"
        console.print(f"target for {key} ({limit:g}): {result[key]:.4g}, {verdict}", highlight=False)


def _show_board(console: Console, result: dict[str, Any]) -> None:
    title = "{entries} entries x {styles} styles x {pictures} pictures".format(**result["shape"])
    table = Table("", title=f"{title}; {result['processor']}; load before {result['load_before']:.1f}")
    for column in ("seconds", "CPU s", "peak GB"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, cost in result["programs"].items():
        table.add_row(name, f"{cost['seconds']:.1f}", f"{cost['cpu_seconds']:.1f}", f"{cost['peak_gb']:.2f}")
    console.print(table)
    console.print(
        f"index.html {result['index_bytes'] / 1000:.0f} kB; {result['files']} files, {result['thumbnails']} of them "
        f"thumbnails, {result['site_bytes'] / 1e6:.0f} MB",
        highlight=False,
    )


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--entries", type=click.IntRange(min=1), default=Shape.entries, show_default=True)
@click.option("--styles", type=click.IntRange(1, 99), default=Shape.styles, show_default=True)
@click.option("--pictures", type=click.IntRange(1, 200), default=Shape.pictures, show_default=True, help="Of a style.")
@click.option("--distinct", type=click.FloatRange(0, 1), default=Shape.distinct, show_default=True, help="Their share.")
@click.option("--scratch", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Where 2 GB fit.")
@click.option("--scale", is_flag=True, help=f"A board {TIMES} times as large, too; wants 8 GB.")
@click.option("--json", "place", type=click.Path(dir_okay=False, path_type=Path), help="Write every figure there.")
def main(scratch: Path | None, scale: bool, place: Path | None, **shape: Any) -> None:
    """Measure and print. Exit code 1: a target is missed, at the size as it is; 2: misuse, or a program failed."""
    try:
        result = (run_scale if scale else run)(Shape(**shape), scratch)
    except UserError as error:
        raise click.UsageError(str(error)) from error
    show(result)
    if place is not None:
        write_json(place, result)
    if result["missed"]:
        raise SystemExit(FINDINGS)


if __name__ == "__main__":
    main()
