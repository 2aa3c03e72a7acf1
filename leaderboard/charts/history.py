"""Final over time, a line for each team."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from markupsafe import Markup

from contest.numbers import decimal
from leaderboard.charts.drawing import SERIES, Canvas, Chart, Scale, scale, swatch, ticks
from leaderboard.entries import Row
from leaderboard.i18n import Label, Words

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 330, 230, 36, 12, 12, 34


def history(words: Words, name: str, rows: Sequence[Row]) -> Chart | None:
    """None where fewer than two entries have a date. More teams than colours: those that lead keep theirs.

    A thin line steps along the best Final up to each day.
    """
    dated = [
        (day, final, row) for row in rows if (day := _day(row)) and (final := row.report.scores["final"]) is not None
    ]
    if len(dated) < 2:
        return None
    dated.sort(key=lambda item: (item[0], str(item[2].report.meta.date), item[2].slug))
    teams = _teams(rows)
    canvas = Canvas(_WIDTH, _HEIGHT)
    across = _days([day for day, _, _ in dated])
    up = scale([final for _, final, _ in dated], _HEIGHT - _BOTTOM, _TOP)
    for value, text in ticks(up):
        canvas.line(_LEFT, up(value), _WIDTH - _RIGHT, up(value), "grid")
        canvas.text(_LEFT - 6, up(value) + 3.5, text, "tick end")
    first, last = dated[0][0], dated[-1][0]
    canvas.text(_LEFT, _HEIGHT - 12, first.isoformat(), "tick")
    if last > first:
        canvas.text(_WIDTH - _RIGHT, _HEIGHT - 12, last.isoformat(), "tick end")
    best: list[tuple[float, float]] = []
    for day, final, _ in dated:
        x, y = across(day.toordinal()), up(final)
        if not best or y < best[-1][1]:
            best += [(x, best[-1][1]), (x, y)] if best else [(x, y)]
    canvas.curve([*best, (_WIDTH - _RIGHT, best[-1][1])], "best-line")
    for team, series in teams.items():
        own = [(across(day.toordinal()), up(final)) for day, final, row in dated if row.report.meta.team == team]
        if len(own) > 1:
            canvas.curve(own, f"line series-{series}")
    for day, final, row in dated:
        series = teams.get(row.report.meta.team, SERIES - 1)
        canvas.point(across(day.toordinal()), up(final), series, f"{row.title}: {decimal(final, 4)}")
    title, span = words.label("chart.history"), {"first": first.isoformat(), "last": last.isoformat()}
    svg = canvas.svg(name, title, words.label("chart.history.about", n=len(dated), **span))
    return Chart(svg, _legend(words, teams, {row.report.meta.team for _, _, row in dated}))


def _legend(words: Words, teams: dict[str | None, int], shown: set[str | None]) -> tuple[tuple[Markup, Label], ...]:
    lines = [
        (swatch(series), words.label("no-team") if team is None else Label(team))
        for team, series in teams.items()
        if team in shown
    ]
    if not shown <= set(teams):
        lines.append((swatch(SERIES - 1), words.label("chart.others")))
    return tuple(lines)


def _teams(rows: Sequence[Row]) -> dict[str | None, int]:
    """Team -> series, best first, as many as there are colours beside the one for all others."""
    teams = list(dict.fromkeys(row.report.meta.team for row in rows))
    return {team: series for series, team in enumerate(teams[: SERIES - 1])}


def _day(row: Row) -> date | None:
    text = row.report.meta.date
    try:
        return None if text is None else date.fromisoformat(text[:10])
    except ValueError:
        return None


def _days(days: Sequence[date]) -> Scale:
    low, high = days[0].toordinal(), days[-1].toordinal()
    if low == high:
        return Scale(low - 1, high + 1, _LEFT, _WIDTH - _RIGHT)
    return Scale(low, high, _LEFT + 6, _WIDTH - _RIGHT - 6)
