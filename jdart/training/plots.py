"""The losses of training as a picture."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from contest.disk.files import atomic_write
from contest.errors import needs
from jdart.training.logs import StepRecord


def loss_plot(records: Iterable[StepRecord], png_path: Path, title: str = "Training loss") -> None:
    """Draw the losses faintly, their running mean over a twentieth of the steps, and those of validations.

    Losses that are NaN or infinite leave a gap, and are left out of the mean. Written atomically.
    """
    with needs("train"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

    rows = list(records)
    steps = [row.step for row in rows]
    losses = [row.loss if math.isfinite(row.loss) else math.nan for row in rows]
    window = max(1, len(rows) // 20)
    figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot(steps, losses, color="#0a84ff", alpha=0.25, linewidth=0.8, label="loss of a step")
    mean = running_mean(losses, window)
    axes.plot(steps, mean, color="#0a3d91", linewidth=1.8, label=f"mean of {window} steps")
    seen = [(row.step, row.validation_loss) for row in rows if row.validation_loss is not None]
    if seen:
        axes.plot(*zip(*seen), color="#d9480f", marker="o", markersize=4, linewidth=1.4, label="validation loss")
    axes.set(xlabel="step", ylabel="loss (mean squared error)", title=title)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    with atomic_write(png_path) as stream:
        figure.savefig(stream, format="png", metadata={"Software": None})


def running_mean(values: Iterable[float], window: int) -> np.ndarray:
    """The mean of each value and up to `window` - 1 before it, NaN left out (NaN where all of them are)."""
    array = np.asarray(list(values), dtype=np.float64)
    known = ~np.isnan(array)
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, array, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    end = np.arange(1, len(array) + 1)
    start = np.maximum(0, end - window)
    count = counts[end] - counts[start]
    return np.divide(sums[end] - sums[start], count, out=np.full(len(array), np.nan), where=count > 0)
