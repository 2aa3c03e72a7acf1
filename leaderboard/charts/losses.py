"""Loss curves of a run, a small panel for each style, all on one scale of loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from contest.numbers import decimal
from leaderboard.charts.drawing import Canvas, Chart, Scale, scale, ticks
from leaderboard.i18n import Words

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 180, 96, 34, 6, 8, 18


def losses(words: Words, curves: Mapping[str, Sequence[tuple[int, float]]]) -> list[tuple[str, Chart]]:
    """(style, panel) for each style whose curve has two points or more."""
    drawn = {style: points for style, points in curves.items() if len(points) > 1}
    if not drawn:
        return []
    up = scale([loss for points in drawn.values() for _, loss in points], _HEIGHT - _BOTTOM, _TOP)
    return [(style, _panel(words, f"loss-{i}", style, points, up)) for i, (style, points) in enumerate(drawn.items())]


def _panel(words: Words, name: str, style: str, points: Sequence[tuple[int, float]], up: Scale) -> Chart:
    canvas = Canvas(_WIDTH, _HEIGHT)
    for value, text in ticks(up, 3):
        canvas.line(_LEFT, up(value), _WIDTH - _RIGHT, up(value), "grid")
        canvas.text(_LEFT - 4, up(value) + 3.5, text, "tick end")
    first, last = points[0], points[-1]
    across = Scale(first[0], max(last[0], first[0] + 1), _LEFT, _WIDTH - _RIGHT)
    canvas.curve([(across(step), up(loss)) for step, loss in points], "line series-0")
    canvas.text(_LEFT, _HEIGHT - 5, str(first[0]), "tick")
    canvas.text(_WIDTH - _RIGHT, _HEIGHT - 5, str(last[0]), "tick end")
    ends = {"first": decimal(first[1], 4), "start": first[0], "last": decimal(last[1], 4), "end": last[0]}
    about = words.label("chart.loss.about", **ends)
    return Chart(canvas.svg(name, words.label("chart.loss", style=style), about, "panel"))
