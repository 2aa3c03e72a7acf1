"""An explanation or a comparison as a picture, in colours that colour-blind people can tell apart (Okabe and Ito's)."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contest.disk.files import write_bytes
from contest.disk.writable import require_file
from contest.errors import UserError, needs
from contest.numbers import decimal, span
from evaluator.analysis.compare import BETTER, LOW_IS_GOOD, NOISE, UNKNOWN, WORSE, Comparison, Difference, Side
from evaluator.analysis.explain import Explanation, Gain
from evaluator.analysis.headroom import Headroom
from evaluator.analysis.wording import LABELS, caveats, metric_value, not_comparable, picture, plain, reached
from evaluator.scoring.formula import TERMS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TERM_COLOURS = {
    "dino": "#0072B2",
    "hist": "#56B4E9",
    "lpips": "#009E73",
    "clip_r": "#D55E00",
    "fid": "#E69F00",
    "clip_iqa": "#CC79A7",
}
# colour and marker: the verdict can be read without colour, too
_VERDICTS = {BETTER: ("#0072B2", "^"), WORSE: ("#D55E00", "v"), NOISE: ("#777777", "o"), UNKNOWN: ("#777777", "x")}
_GROUPS = (("dino", "hist", "lpips", "clip_iqa", "clip_r"), ("fid",), ("style", "text", "quality", "final"))
_ROW = 0.27  # inches a row
_WIDTH = 13.0  # inches
_DPI = 120
_NAME = 48  # letters of an entry's name in a title


def draw_explanation(found: Explanation, top: int) -> Figure:
    """Left what each style gives to Final, through which metric; right the `top` gains.

    Below, where the bounds are known, the headroom: left the whole entry's, right that of styles with the `top` gains.
    """
    gains = found.top_gains(top)
    whole, styles = found.top_headroom(top)
    title = f"{plain(found.entry, _NAME)} on {plain(found.contest, _NAME)}, profile {plain(found.profile)}"
    ends = found.intervals.get("final")
    final = f"Final {decimal(found.scores.final, 6)}"
    heading = [title, final if ends is None else f"{final}, 95 % interval {span(ends[0], ends[1], 4)}"]
    if found.not_comparable_because:
        heading.append(not_comparable(found.not_comparable_because))
    rows = [max(len(found.styles), len(gains), 6), *([max(len(whole), len(styles)) + 4] if whole else [])]
    figure = _figure(sum(rows), heading)
    (left, right), *below = figure.subplots(len(rows), 2, height_ratios=rows, squeeze=False)
    _draw_shares(left, found)
    _draw_gains(right, gains)
    for axes_left, axes_right in below:
        _draw_headroom(axes_left, "Headroom: if half of what is left to the bound were won", whole)
        _draw_headroom(axes_right, "The same in one style alone", styles)
    return figure


def draw_comparison(found: Comparison) -> Figure:
    """Left every figure's difference with its interval, right Final's style by style."""
    names = f"B {_entry(found.b)} against A {_entry(found.a)}"
    where = f"on {plain(found.contest, _NAME)}, profile {plain(found.profile)}, {found.cells} pictures of each"
    heading = [names, where, *caveats(found.a.not_comparable_because, found.b.not_comparable_because, found.notes)]
    styles = [row for row in found.differences if row.style is not None and row.figure == "final"]
    figure = _figure(max(len(styles) + 1, 16), heading)
    [[left, right]] = figure.subfigures(1, 2, squeeze=False)
    axes = left.subplots(len(_GROUPS), 1, height_ratios=[len(group) + 1.5 for group in _GROUPS])
    overall = {row.figure: row for row in found.differences if row.style is None}
    for place, group in zip(axes, _GROUPS):
        labels = [f"{LABELS[name]} {'↓' if name in LOW_IS_GOOD else '↑'}" for name in group]
        _draw_forest(place, [overall[name] for name in group], labels)
    axes[0].set_title("Over everything (arrow: the better side)", fontsize="medium", loc="left")
    axes[-1].set_xlabel("B - A, with 95 % interval")
    forest = right.subplots()
    labels = ["all", *(plain(str(row.style), 24) for row in styles)]
    _draw_forest(forest, [overall["final"], *styles], labels)
    forest.set_title("Final style by style, with the FID of the whole entry", fontsize="medium", loc="left")
    forest.set_xlabel("B - A, with 95 % interval")
    _draw_legend(figure, {row.verdict for row in found.differences} | {BETTER, WORSE, NOISE})
    return figure


def require_plot(path: Path) -> None:
    """Raise UserError unless `path` can be written and has the name of a PNG picture."""
    if path.suffix.lower() != ".png":
        raise UserError(f"{path}: a plot is a PNG picture; give a name that ends in .png")
    require_file(path)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG, whole or not at all. Raises UserError as `require_plot`."""
    require_plot(path)
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # a name in a script the font lacks
        figure.savefig(stream, format="png", dpi=_DPI)
    write_bytes(path, stream.getvalue())


def _figure(rows: int, heading: Sequence[str]) -> Figure:
    """An empty figure for that many rows below the lines of `heading`; a long line is wrapped."""
    from textwrap import wrap

    with needs("eval"):
        from matplotlib.figure import Figure

    lines = [part for line in heading for part in wrap(line, 150)]
    figure = Figure(figsize=(_WIDTH, 1.2 + 0.22 * len(lines) + _ROW * rows), layout="constrained")
    figure.suptitle("\n".join(lines), fontsize="medium", parse_math=False)
    return figure


def _draw_shares(axes: Axes, found: Explanation) -> None:
    places = range(len(found.styles))
    ends = {True: [0.0] * len(found.styles), False: [0.0] * len(found.styles)}  # of what is positive and negative
    for term in TERMS:
        for place, row in enumerate(found.styles):
            value = 1000 * row.parts[term]
            label = LABELS[term] if place == 0 else None
            side = ends[value >= 0]
            axes.barh(place, value, left=side[place], color=_TERM_COLOURS[term], label=label, edgecolor="white")
            side[place] += value
    for place, row in enumerate(found.styles):
        axes.annotate(decimal(1000 * row.share, 2), (ends[True][place], place), (4, 0), **_BESIDE)
    _label_rows(axes, places, [plain(row.style, 24) for row in found.styles])
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlim(1.05 * min(ends[False]), 1.12 * max(*ends[True], 0.001))
    axes.set_xlabel("thousandths of Final")
    axes.set_ylabel("style")
    axes.set_title("What each style gives to Final, through which metric", fontsize="medium", loc="left", pad=24)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(TERMS), frameon=False, fontsize="small", **_TIGHT)


def _draw_gains(axes: Axes, gains: Sequence[Gain]) -> None:
    axes.set_title("Replaced by their style's median, these would gain most", fontsize="medium", loc="left", pad=24)
    if not gains:
        axes.set_axis_off()
        axes.text(0, 1, "No picture would gain.", va="top", transform=axes.transAxes)
        return
    for place, gain in enumerate(gains):
        axes.barh(place, 1000 * gain.gain, color=_TERM_COLOURS[gain.metric], edgecolor="white")
        now, then = (metric_value(gain.metric, value) for value in (gain.value, gain.median))
        label = f"{LABELS[gain.metric]} {now} → {then}"
        axes.annotate(label, (1000 * gain.gain, place), (4, 0), **_BESIDE)
    _label_rows(axes, range(len(gains)), [f"{plain(gain.style, 16)} {plain(picture(gain.name), 20)}" for gain in gains])
    axes.set_xlim(0, 1.35 * 1000 * gains[0].gain)
    axes.set_xlabel("gain in thousandths of Final; colour and label: the metric that gives most of it")


def _draw_headroom(axes: Axes, title: str, rows: Sequence[Headroom]) -> None:
    axes.set_title(title, fontsize="medium", loc="left")
    for place, row in enumerate(rows):
        axes.barh(place, 1000 * row.gain, color=_TERM_COLOURS[row.metric], edgecolor="white")
        label = f"{decimal(row.now, 4)} → {decimal(row.bound, 4)}, {reached(row.reached)} reached"
        axes.annotate(label, (1000 * row.gain, place), (4, 0), **_BESIDE)
    styles = ["" if row.style is None else f"{plain(row.style, 16)} " for row in rows]
    _label_rows(axes, range(len(rows)), [f"{style}{LABELS[row.metric]}" for style, row in zip(styles, rows)])
    axes.set_xlim(0, 1.6 * max(1000 * rows[0].gain, 0.001))
    axes.set_xlabel("gain in thousandths of Final")


def _draw_forest(axes: Axes, rows: Sequence[Difference], labels: Sequence[str]) -> None:
    axes.axvline(0, color="black", linewidth=0.8)
    at_edge = {"xycoords": axes.get_yaxis_transform(), "family": "monospace"}
    for place, row in enumerate(rows):
        colour, marker = _VERDICTS[row.verdict]
        if row.low is not None and row.high is not None:
            axes.plot([row.low, row.high], [place, place], color=colour, linewidth=2, solid_capstyle="butt")
        axes.plot([row.difference], [place], marker=marker, color=colour, markersize=7)
        axes.annotate(decimal(row.difference, 4, plus=True), (1, place), (6, 0), **{**_BESIDE, **at_edge})
    _label_rows(axes, range(len(rows)), labels)
    axes.margins(x=0.08)
    axes.locator_params(axis="x", nbins=7)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)


def _draw_legend(figure: Figure, verdicts: set[str]) -> None:
    from matplotlib.lines import Line2D

    words = {
        BETTER: "B is better",
        WORSE: "B is worse",
        NOISE: "noise: the interval contains 0",
        UNKNOWN: "no interval",
    }
    handles = [
        Line2D([], [], color=colour, marker=marker, label=words[verdict])
        for verdict, (colour, marker) in _VERDICTS.items()
        if verdict in verdicts
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)


def _label_rows(axes: Axes, places: Sequence[int], labels: Sequence[str]) -> None:
    """One label a row, from the top down."""
    axes.set_yticks(places, labels, fontsize="small", parse_math=False)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.tick_params(axis="x", labelsize="small")
    axes.spines[["top", "right"]].set_visible(False)


def _entry(side: Side) -> str:
    return f"{plain(side.name, _NAME)} ({side.sha256[:8]})"


_BESIDE: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": "small"}
_TIGHT: dict[str, Any] = {"columnspacing": 1.0, "handlelength": 1.0, "handletextpad": 0.4, "borderaxespad": 0.2}
