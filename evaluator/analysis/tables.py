"""An explanation or a comparison as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from contest.numbers import decimal, span
from evaluator.analysis.cells import FEATURES
from evaluator.analysis.compare import BETTER, LOW_IS_GOOD, NOISE, WORSE, Comparison, Difference
from evaluator.analysis.explain import Explanation
from evaluator.analysis.headroom import Headroom
from evaluator.analysis.wording import (
    LABELS,
    caveats,
    metric_value,
    not_comparable,
    picture,
    plain,
    reached,
    style_formula,
)
from evaluator.scoring.formula import TERMS

_COLOURS = {BETTER: "green", WORSE: "red", NOISE: "dim"}


def show_explanation(found: Explanation, top: int, console: Console) -> None:
    """What each style gives, how far its metrics can go, the `top` gains of both, and the misses of CLIP-R."""
    scores = found.scores
    _line(console, f"{plain(found.entry)} on {plain(found.contest)}, profile {plain(found.profile)}", "bold")
    made = f"Final {decimal(scores.final, 6)} = {style_formula(scores)}"
    ends = found.intervals.get("final")
    _line(console, made if ends is None else f"{made}\n95 % interval of Final: {span(ends[0], ends[1], 4)}")
    if found.not_comparable_because:
        _line(console, not_comparable(found.not_comparable_because), "yellow")

    shares = _table("What each style gives to Final, in thousandths, and through which metric")
    for title in ("style", "images", "share", *(LABELS[term] for term in TERMS)):
        shares.add_column(title, justify="left" if title == "style" else "right")
    for row in found.styles:
        parts = [decimal(1000 * row.parts[term], 2) for term in TERMS]
        shares.add_row(Text(plain(row.style)), str(row.images), decimal(1000 * row.share, 2), *parts)
    shares.add_section()
    total = [sum(row.parts[term] for row in found.styles) for term in TERMS]
    images = sum(row.images for row in found.styles)
    shares.add_row("all", str(images), *(decimal(1000 * part, 2) for part in (sum(total), *total)), style="bold")
    console.print(shares)
    _show_headroom(found, top, console)

    gains = found.top_gains(top)
    table = _table("Pictures whose replacement by their style's median would gain most, in thousandths of Final")
    for title in ("style", "picture", "gain", "mostly by", "now", "median"):
        table.add_column(title, justify="right" if title in ("gain", "now", "median") else "left")
    for gain in gains:
        now, then = (metric_value(gain.metric, value) for value in (gain.value, gain.median))
        row_cells = (decimal(1000 * gain.gain, 3, plus=True), LABELS[gain.metric], now, then)
        table.add_row(Text(plain(gain.style)), Text(picture(gain.name)), *row_cells)
    if gains:
        console.print(table)
    else:
        _line(console, "No picture would gain by its style's median.")

    if not found.misses:
        _line(console, "CLIP-R: every picture shows its prompt.")
        return
    table = _table(f"CLIP-R misses: {len(found.misses)} of {images}")
    for title in ("style", "picture", "rank", "seen instead"):
        table.add_column(title, justify="right" if title == "rank" else "left")
    for miss in found.misses:
        seen = ", ".join(plain(name) for name in miss.seen)
        table.add_row(Text(plain(miss.style)), Text(picture(miss.name)), str(miss.rank), Text(seen))
    console.print(table)


def show_comparison(found: Comparison, console: Console) -> None:
    """B - A overall, figure by figure, and Final style by style."""
    _line(console, f"A {plain(found.a.name)} ({plain(found.a.sha256[:8])})", "bold")
    _line(console, f"B {plain(found.b.name)} ({plain(found.b.sha256[:8])})", "bold")
    where = f"on {plain(found.contest)}, profile {plain(found.profile)}, {found.cells} pictures of each"
    _line(console, f"{where}; 95 % intervals from {found.resamples} paired resamples, seed {found.seed}")
    for line in caveats(found.a.not_comparable_because, found.b.not_comparable_because, found.notes):
        _line(console, line, "yellow")

    arrows = ("↑", "↓") if console.encoding.lower().startswith("utf") else ("^", "v")
    overall = [row for row in found.differences if row.style is None]
    table = _table("Over everything (the arrow points to the better side)")
    _add_columns(table, "figure")
    for row in overall:
        table.add_row(f"{LABELS[row.figure]} {arrows[row.figure in LOW_IS_GOOD]}", *_figures(row))
    console.print(table)

    table = _table("Final style by style, with the FID of the whole entry")
    _add_columns(table, "style")
    table.add_column("beyond noise")
    for row in found.differences:
        if row.style is not None and row.figure == "final":
            own = [other for other in found.differences if other.style == row.style]
            table.add_row(Text(plain(row.style)), *_figures(row), _beyond_noise(own))
    console.print(table)
    _line(console, "noise: the interval contains 0. At 95 % about one in twenty figures leaves it by chance.", "dim")
    _line(console, "beyond noise: the style's metrics that are better (+) or worse (-) in B.", "dim")


def _show_headroom(found: Explanation, top: int, console: Console) -> None:
    """The whole entry's metrics, then those of styles with the `top` gains."""
    if not found.headroom:
        unknown = f"Headroom: no bounds beside the report ({FEATURES}); score the entry again: jdart-eval score"
        _line(console, f"{unknown} (what is cached is not computed again)")
        return
    whole, styles = found.top_headroom(top)
    left_out = len(found.headroom) - len(whole) - len(styles)
    table = _table("Headroom: what Final would gain, in thousandths, if half of what is left to the bound were won")
    for title in ("style", "metric", "now", "bound", "reached", "gain"):
        table.add_column(title, justify="left" if title in ("style", "metric") else "right", no_wrap=title != "style")
    for row in whole:
        table.add_row("all", *_headroom_cells(row), style="bold")
    table.add_section()
    for row in styles:
        table.add_row(Text(plain(str(row.style))), *_headroom_cells(row))
    console.print(table)
    _line(console, "bound: what no picture can pass. No picture need reach one, still less several at once.", "dim")
    if left_out:
        _line(console, f"The {left_out} smallest gains of styles are left out; --top shows more, --json all.", "dim")


def _headroom_cells(row: Headroom) -> tuple[str, ...]:
    now, bound = (decimal(value, 4) for value in (row.now, row.bound))
    return LABELS[row.metric], now, bound, reached(row.reached), decimal(1000 * row.gain, 2, plus=True)


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)


def _line(console: Console, text: str, style: str = "") -> None:
    console.print(Text(text, style=style))


def _add_columns(table: Table, first: str) -> None:
    table.add_column(first, no_wrap=True)
    for title in ("A", "B", "B - A", "95 % interval"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("B is", no_wrap=True)


def _figures(row: Difference) -> tuple[str | Text, ...]:
    ends = "-" if row.low is None or row.high is None else span(row.low, row.high, 4, plus=True)
    verdict = Text(row.verdict, style=_COLOURS.get(row.verdict, "yellow"))
    return decimal(row.a, 4), decimal(row.b, 4), decimal(row.difference, 4, plus=True), ends, verdict


def _beyond_noise(rows: Iterable[Difference]) -> Text:
    """The measured metrics of a style that are better (+) or worse (-)."""
    return Text(" ").join(
        Text(f"{'+' if row.verdict == BETTER else '-'}{LABELS[row.figure]}", style=_COLOURS[row.verdict])
        for row in rows
        if row.verdict in (BETTER, WORSE) and row.figure in TERMS
    )
