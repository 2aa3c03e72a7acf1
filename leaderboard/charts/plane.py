"""Style over Text + Quality: every entry a point, every curve one Final."""

from __future__ import annotations

from collections.abc import Sequence

from contest.numbers import decimal
from leaderboard.charts.drawing import Canvas, Chart, Scale, scale, ticks
from leaderboard.entries import Row
from leaderboard.i18n import Words

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 330, 230, 36, 12, 12, 34
_MOST = 100  # points; a section's best
_STEPS = 24  # of a curve


def plane(words: Words, name: str, rows: Sequence[Row]) -> Chart | None:
    """None where fewer than two entries have all of Style, Text and Quality."""
    placed = [(x, y, row) for row in rows[:_MOST] if (x := _across(row)) is not None and (y := _up(row)) is not None]
    if len(placed) < 2:
        return None
    across = scale([x for x, _, _ in placed], _LEFT, _WIDTH - _RIGHT)
    up = scale([y for _, y, _ in placed], _HEIGHT - _BOTTOM, _TOP)
    canvas = Canvas(_WIDTH, _HEIGHT)
    for value, text in ticks(up):
        canvas.line(_LEFT, up(value), _WIDTH - _RIGHT, up(value), "grid")
        canvas.text(_LEFT - 6, up(value) + 3.5, text, "tick end")
    for value, text in ticks(across):
        canvas.line(across(value), _TOP, across(value), _HEIGHT - _BOTTOM, "grid")
        canvas.text(across(value), _HEIGHT - 19, text, "tick middle")
    canvas.text(_WIDTH - _RIGHT, _HEIGHT - 4, words.label("text-quality"), "axis end")
    canvas.text(_LEFT + 4, _TOP + 9, words.label("style-axis"), "axis")
    _curves(canvas, across, up, [(across(x), up(y)) for x, y, _ in placed])
    taken: list[tuple[float, float]] = []
    for x, y, row in reversed(placed):  # the best is drawn last, on top
        final = row.report.scores["final"]
        hint = f"{row.title}: {'–' if final is None else decimal(final, 4)} = {decimal(y, 4)} × {decimal(x, 4)}"
        canvas.point(across(x), up(y), 0, hint)
    for x, y, row in placed:
        left, top = across(x), up(y)
        if row.rank is not None and all(abs(left - a) > 14 or abs(top - b) > 11 for a, b in taken):
            taken.append((left, top))
            inside = left < _WIDTH - _RIGHT - 16
            canvas.text(
                left + (6 if inside else -6), top - 5, str(row.rank), "rank-label" if inside else "rank-label end"
            )
    best = placed[0][2].title
    about = words.label("chart.plane.about", n=len(placed), best=best)
    return Chart(canvas.svg(name, words.label("chart.plane"), about))


def _curves(canvas: Canvas, across: Scale, up: Scale, taken: Sequence[tuple[float, float]]) -> None:
    """Curves of equal Final: Style = Final / (Text + Quality); their labels keep clear of the points."""
    low, high = max(across.low, 1e-6), across.high
    if high <= low:
        return
    finals = Scale(low * max(up.low, 0.0), high * max(up.high, 1e-6), 0, 1)
    for final, text in ticks(finals, 7):
        points = []
        for i in range(_STEPS + 1):
            x = low + (high - low) * i / _STEPS
            if final > 0 and up.low <= final / x <= up.high:
                points.append((across(x), up(final / x)))
        if len(points) > 2:
            canvas.curve(points, "iso")
            x, y = points[-1]
            if all(abs(x - 14 - a) > 20 or abs(y - b) > 12 for a, b in taken):
                canvas.text(x - 2, y - 3, text, "iso-label end")


def _across(row: Row) -> float | None:
    text, quality = row.report.scores["text"], row.report.scores["quality"]
    return None if text is None or quality is None else text + quality


def _up(row: Row) -> float | None:
    return row.report.scores["style"]
