"""Where the time of a UNet call and of a LoRA training step goes, at SD 2.1's own size and 512 px on the CPU.

    python benchmarks/shares.py --json shares.json

Jittor times each of its operations by itself. What is left of the whole is Python and Jittor's own overhead.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import full_size
import training
from full_size import SEED, Size
from rich.console import Console
from rich.table import Table
from turns import new_base, surroundings

from contest.disk.files import write_json
from jdart.config.sections.memory import STORAGE

OURS = re.compile(r"jdart::(\w+)\(")  # a kernel of jdart/models/kernels in the source of an operation
ONEDNN = re.compile(r"mkl_(conv|matmul)\w*")
KINDS = {
    "3x3 convolutions": ("convolve", "convolve_grad", "convolve_columns", "convolve_columns_grad", "mkl_conv"),
    "1x1 convolutions": ("pointwise", "pointwise_grad_weight"),
    "products": ("linear", "linear_grad", "linear_grad_weight", "mkl_matmul"),
    "attention": ("attend", "attend_grad"),
    "norms": ("group_norm", "group_norm_grad", "layer_norm", "layer_norm_grad"),
    "gates, enlargements, transposes": ("geglu", "geglu_grad", "enlarge", "enlarge_grad", "turn"),
    "weights widened": ("widen",),
}
KIND_OF = {word: kind for kind, words in KINDS.items() for word in words}
GRAPH = "Jittor's own elementwise operations"
REST = "Python, and Jittor's overhead"


def kind_of(name: str) -> str:
    """The line of the table that an operation belongs to."""
    ours, onednn = OURS.search(name), ONEDNN.search(name)
    word = ours[1] if ours else f"mkl_{onednn[1]}" if onednn else None
    return GRAPH if word is None else KIND_OF[word]


def shares(work: Iterator[None]) -> dict[str, float]:
    """Seconds of one item of `work` by kind of operation; two items before it warm up."""
    next(work)
    next(work)
    import jittor as jt

    began = time.perf_counter()
    next(work)
    plain = time.perf_counter() - began
    with jt.profile_scope(warmup=0, rerun=0) as report:
        next(work)
    head, *rows = report
    name, total = head.index("Name"), head.index("TotalTime")
    found: Counter[str] = Counter()
    for row in rows:
        found[kind_of(row[name])] += float(row[total]) / 1e9
    found[REST] = max(0.0, plain - sum(found.values()))
    return dict(found)


def table(name: str, seconds: dict[str, float]) -> Table:
    shown, whole = Table(title=name), sum(seconds.values())
    shown.add_column("of")
    shown.add_column("seconds", justify="right")
    shown.add_column("share", justify="right")
    for kind, spent in sorted(seconds.items(), key=lambda item: -item[1]):
        shown.add_row(kind, f"{spent:.2f}", f"{spent / whole:.1%}")
    shown.add_row("all", f"{whole:.2f}", "", style="bold")
    return shown


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--rank", type=click.IntRange(min=1), default=4, show_default=True, help="Of the LoRA that is trained.")
@click.option("--storage-dtype", type=click.Choice(STORAGE), default=STORAGE[0], help="Of the weights in memory.")
@click.option("--quick", is_flag=True, help="For trials: a miniature at 64 px.")
@click.option("--json", "place", type=click.Path(dir_okay=False, path_type=Path), help="Write every figure there.")
def main(rank: int, storage_dtype: str, quick: bool, place: Path | None) -> None:
    """Profile a call with a batch of two and a training step of batch 1 with gradient checkpointing."""
    size = replace(Size("tiny", 64, 32) if quick else Size(), storage_dtype=storage_dtype)
    results: dict[str, Any] = surroundings()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as temporary:
        base = Path(temporary) / "base"
        new_base(base, size.preset, SEED)
        case = training.Case(size.preset, size.size, rank, recompute=True, storage_dtype=storage_dtype)
        works = {
            "a UNet call, batch 2": full_size.ours(base, size),
            f"a training step, rank {rank}": training.ours(
                base, training.paint_pictures(base.parent, size.size), case, True
            ),
        }
        for name, work in works.items():
            results[name] = shares(work)
            Console().print(table(f"{name}, {size.size} px", results[name]))
            work.close()  # type: ignore[attr-defined]
    if place is not None:
        write_json(place, results)


if __name__ == "__main__":
    main()
