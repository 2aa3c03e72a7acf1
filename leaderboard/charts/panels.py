"""Small multiples: the styles of an entry beside its own mean, and the entries of a ranking style by style."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from contest.numbers import decimal
from leaderboard.charts.drawing import SERIES, Canvas, Chart, Scale, scale, ticks
from leaderboard.entries import Row
from leaderboard.i18n import Label, Words

# as they enter Final, so that a longer bar is better everywhere
_TERMS = (
    ("dino", "DINO", "dino"),
    ("hist", "Hist", "hist"),
    ("lpips", "1−LPIPS", "lpips"),
    ("clip_r", "CLIP-R", "clip_r"),
    ("clip_iqa", "CLIP-IQA", "clip_iqa"),
)
_LABEL, _BAR, _VALUE, _ROW = 54, 92, 34, 15
_RANKING = 180  # width of a panel of entries
_MOST = 10  # entries in it


def ranking_panels(words: Words, rows: Sequence[Row]) -> list[tuple[str, Chart]]:
    """(style, panel) for each style: a ranking's best entries by what the style gives to Style, all on one scale.

    Nothing where fewer than two entries or two styles could be set beside each other.
    """
    shown = [row for row in rows[:_MOST] if row.report.styles]
    parts = {
        style: [(row, part) for row in shown if (part := _style_part(row.report.styles.get(style))) is not None]
        for style in sorted({style for row in shown for style in row.report.styles})
    }
    values = [part for line in parts.values() for _, part in line]
    if len(shown) < 2 or len(parts) < 2 or not values:
        return []
    across = scale(values, 4, _RANKING - 4)
    return [
        (style, _ranking_panel(words, f"{rows[0].slug}-{i}", style, line, across))
        for i, (style, line) in enumerate(parts.items())
    ]


def _ranking_panel(words: Words, name: str, style: str, line: Sequence[tuple[Row, float]], across: Scale) -> Chart:
    canvas = Canvas(_RANKING, 44)
    for value, text in ticks(across, 3):
        canvas.line(across(value), 2, across(value), 28, "grid")
        canvas.text(across(value), 41, text, "tick middle")
    for row, part in reversed(line):  # the best on top
        canvas.point(across(part), 15, 0 if row is line[0][0] else SERIES - 1, f"{row.title}: {decimal(part, 4)}")
    best = max(line, key=lambda item: item[1], default=None)
    title, count = words.label("chart.ranking-panel", style=style), len(line)
    if best is None:
        return Chart(canvas.svg(name, title, Label("–"), "panel"))
    about = words.label("chart.ranking-panel.about", n=count, best=best[0].title, value=decimal(best[1], 4))
    return Chart(canvas.svg(name, title, about, "panel"))


def _style_part(values: Mapping[str, float | None] | None) -> float | None:
    """The formula of Style on one style's figures."""
    if values is None:
        return None
    dino, hist, lpips = values["dino"], values["hist"], values["lpips"]
    if dino is None or hist is None or lpips is None:
        return None
    return 0.2 * dino + 0.4 * hist + 0.4 * max(0.0, 1 - lpips)


def style_panels(words: Words, styles: Mapping[str, Mapping[str, float | None]]) -> list[tuple[str, Chart]]:
    """(style, panel) for each style; all panels have one scale, and a tick marks the mean over the styles."""
    means = {key: _mean([_term(key, values) for values in styles.values()]) for key, _, _ in _TERMS}
    return [
        (style, _panel(words, f"panel-{i}", style, values, means)) for i, (style, values) in enumerate(styles.items())
    ]


def _panel(
    words: Words, name: str, style: str, values: Mapping[str, float | None], means: Mapping[str, float | None]
) -> Chart:
    canvas = Canvas(_LABEL + _BAR + _VALUE, _ROW * len(_TERMS) + 2)
    said = []
    for i, (key, label, colour) in enumerate(_TERMS):
        top, value, mean = 2 + _ROW * i, _term(key, values), means[key]
        shown = "–" if value is None else decimal(value, 3)
        said.append(f"{label} {shown}")
        canvas.text(_LABEL - 5, top + 9, label, "tick end")
        canvas.rect(_LABEL, top + 1, _BAR, 9, "trough")
        if value is not None:
            canvas.rect(_LABEL, top + 1, _BAR * min(1.0, max(0.0, value)), 9, f"of-{colour}")
        if mean is not None:
            at = _LABEL + _BAR * min(1.0, max(0.0, mean))
            canvas.line(at, top - 0.5, at, top + 11.5, "mean")
        canvas.text(_LABEL + _BAR + _VALUE, top + 9, shown, "tick end")
    title = words.label("chart.panel", style=style)
    return Chart(canvas.svg(name, title, Label(", ".join(said)), "panel"))


def _term(key: str, values: Mapping[str, float | None]) -> float | None:
    value = values[key]
    return 1 - value if key == "lpips" and value is not None else value


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
