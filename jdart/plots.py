"""The training loss as a picture."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from submission.errors import UserError, needs
from submission.files import atomic_write


def read_losses(csv_path: Path) -> list[tuple[int, float]]:
    """(step, loss) from a table with the columns step and loss, others ignored. UserError if malformed."""
    try:
        with open(csv_path, encoding="utf-8", newline="") as stream:
            return [(int(row["step"]), float(row["loss"])) for row in csv.DictReader(stream)]
    except FileNotFoundError as error:
        raise UserError(f"{csv_path}: no such file") from error
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{csv_path}: not a table with the columns step and loss ({error})") from error


def loss_plot(rows: Iterable[tuple[int, float]], png_path: Path, title: str = "Training loss") -> None:
    """Draw (step, loss) faintly and their running mean over a twentieth of the rows; written atomically.

    Losses that are NaN or infinite leave a gap, and are left out of the mean.
    """
    with needs("train"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

    rows = list(rows)
    steps = [step for step, _ in rows]
    losses = [loss if math.isfinite(loss) else math.nan for _, loss in rows]
    window = max(1, len(rows) // 20)
    figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot(steps, losses, color="#0a84ff", alpha=0.25, linewidth=0.8, label="loss of a step")
    mean = running_mean(losses, window)
    axes.plot(steps, mean, color="#0a3d91", linewidth=1.8, label=f"mean of {window} steps")
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
