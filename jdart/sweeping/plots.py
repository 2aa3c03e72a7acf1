"""A sweep as three pictures: how Final went, the trials across their settings, which setting moves which metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from contest.disk.files import atomic_write
from contest.errors import needs
from evaluator.analysis.wording import LABELS
from jdart.config.derived import short_names
from jdart.sweeping.importance import LEAST, LOW_IS_GOOD, importances, judged
from jdart.sweeping.rows import Row, best_of, final_of
from jdart.sweeping.space import Axis, told
from jdart.sweeping.study import SweepStudy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, DARK, GREY, ORANGE = "#0a84ff", "#0a3d91", "#8a8a8a", "#d9480f"
MOST_CHOICES = 20  # whose names stand beside an axis


def write_plots(study: SweepStudy, why_not: Sequence[str]) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Write history.png, parallel.png and importance.png where there are trials enough; `why_not` to compare is told.

    Returns what was written, and a line for each that was left out.
    """
    rows, folder = study.rows, study.plan.folder
    finished = [row for row in rows if row.scores is not None]
    written, left_out = [], []
    note = f"not comparable with the contest's scores: {'; '.join(why_not)}" if why_not else ""
    figures: dict[str, Figure | str] = {
        "history.png": draw_history(rows, note) if finished else "no trial is finished",
        "parallel.png": draw_parallel(rows, study.plan.axes, note) if finished else "no trial is finished",
    }
    shares, over = importances(study), len(judged(rows))
    few = f"{over} trials are over, and it takes {LEAST}"
    figures["importance.png"] = draw_importance(shares, over, note) if shares else few
    for name, figure in figures.items():
        if isinstance(figure, str):
            left_out.append(f"{name}: left out, {figure}")
            continue
        with atomic_write(folder / name) as stream:
            figure.savefig(stream, format="png", metadata={"Software": None})
        written.append(folder / name)
    return tuple(written), tuple(left_out)


def draw_history(rows: Sequence[Row], note: str = "") -> Figure:
    """Final over the trials with the best so far; what has no Final is marked at the lower edge."""
    figure, axes = _figure(8, 4.5, "Final of the trials", note)
    from matplotlib.ticker import MaxNLocator

    finished = [row for row in rows if row.scores is not None]
    numbers, finals = [row.number for row in finished], [final_of(row) for row in finished]
    best = list(accumulate(finals, max))
    axes.step(
        [*numbers, rows[-1].number], [*best, best[-1]], where="post", color=DARK, linewidth=1.8, label="best so far"
    )
    axes.plot(numbers, finals, "o", color=BLUE, markersize=5, label="finished")
    edge = axes.get_xaxis_transform()  # x as the data, y from 0 to 1 over the height
    for state, marker, colour in (("stopped", "|", GREY), ("failed", "x", ORANGE), ("refused", "x", ORANGE)):
        without = [row.number for row in rows if row.state == state]
        if without:
            label = "stopped early" if state == "stopped" else state
            axes.plot(without, [0.02] * len(without), marker, color=colour, transform=edge, label=label)
    axes.set(xlabel="trial", ylabel="Final")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, loc="best")
    return figure


def draw_parallel(rows: Sequence[Row], axes_of: Sequence[Axis], note: str = "") -> Figure:
    """A line a trial across an axis a setting, coloured by Final; grey for one that was stopped; the best thick."""
    figure, axes = _figure(max(6.0, 2.0 * (len(axes_of) + 1)), 5, "Trials across their settings", note)
    finished = sorted((row for row in rows if row.scores is not None), key=final_of)
    finals = [final_of(row) for row in finished]
    low, high = finals[0], finals[-1]
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    colours = colormaps["viridis"]
    norm = Normalize(low, high) if high > low else Normalize(low - 0.01, low + 0.01)
    places = [_Scale(axis, rows) for axis in axes_of]
    for row in rows:
        if row.state == "stopped":
            axes.plot([scale(row.labels[scale.key]) for scale in places], color=GREY, alpha=0.35, linewidth=0.8)
    best = best_of(rows)
    for row in finished:
        heights = [*(scale(row.labels[scale.key]) for scale in places), norm(final_of(row))]
        axes.plot(heights, color=colours(norm(final_of(row))), linewidth=3 if row is best else 1.3)
    names = short_names([scale.key for scale in places])
    for place, scale in enumerate(places):
        axes.axvline(place, color="#333333", linewidth=0.8)
        for height, text in scale.ticks():
            axes.text(place - 0.03, height, text, ha="right", va="center", fontsize="small")
    axes.axvline(len(places), color="#333333", linewidth=0.8)
    axes.set_xticks(range(len(places) + 1), [*names.values(), "Final"])
    axes.set(xlim=(-0.5, len(places) + 0.05), ylim=(-0.05, 1.05))
    axes.yaxis.set_visible(False)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(axis="x", length=0)
    axes.grid(visible=False)
    figure.colorbar(ScalarMappable(norm, colours), ax=axes, label="Final", pad=0.02)
    return figure


def draw_importance(shares: Mapping[str, Mapping[str, float]], trials: int, note: str = "") -> Figure:
    """A row a setting, a column a metric; the share of each in what tells good trials from all. Blank: nothing does."""
    keys = sorted({key for own in shares.values() for key in own}, key=lambda key: -shares["final"].get(key, 0.0))
    title = f"Which setting moves which metric (PED-ANOVA, {trials} trials)"
    figure, axes = _figure(9, 1.8 + 0.45 * len(keys), title, note)
    values = np.array([[shares[metric].get(key, np.nan) for metric in shares] for key in keys])
    axes.imshow(values, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        if not np.isnan(value):
            colour = "white" if value > 0.6 else "black"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour)
    heads = [f"{LABELS[metric]} {'↓' if metric in LOW_IS_GOOD else '↑'}" for metric in shares]
    axes.set_xticks(range(len(heads)), heads)
    axes.set_yticks(range(len(keys)), keys)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    return figure


class _Scale:
    """Where a setting's values lie on its axis, from 0 to 1."""

    def __init__(self, axis: Axis, rows: Sequence[Row]) -> None:
        self.key, self.own = axis.key, axis.parameter
        self.choices = [] if self.own.choices is None else list(axis.labels)

    def __call__(self, label: Any) -> float:
        if self.own.choices is not None:
            return self.choices.index(label) / (len(self.choices) - 1)
        low, high, value = (np.log(x) if self.own.log else x for x in (self.own.low, self.own.high, label))
        return float((value - low) / (high - low))

    def ticks(self) -> list[tuple[float, str]]:
        """Height and text of what stands beside the axis."""
        own = self.own
        if own.choices is not None:
            return [(self(label), told(label)[:24]) for label in self.choices[:MOST_CHOICES]]
        middle = float(np.sqrt(own.low * own.high)) if own.log else (own.low + own.high) / 2
        return [(self(value), f"{value:.3g}") for value in (own.low, middle, own.high)]


def _figure(width: float, height: float, title: str, note: str) -> tuple[Figure, Axes]:
    with needs("sweep"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(title, loc="left")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if note:
        figure.supxlabel(note, fontsize="x-small", color=GREY, x=0.01, ha="left")
    return figure, axes
