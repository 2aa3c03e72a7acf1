"""Charts: drawn where they should be, whole as SVG, and harmless whatever names they carry."""

import xml.etree.ElementTree as ET
from types import SimpleNamespace

import pytest

from leaderboard import charts
from leaderboard.charts.drawing import Scale, fit, scale, short, ticks
from leaderboard.i18n import Words

WORDS = Words("en")
HOSTILE = "<script>alert(1)</script>\"'&"


def row(title="one", final=0.5, style=0.6, text=0.45, quality=0.4, team=None, date=None, rank=1):
    scores = {"final": final, "style": style, "text": text, "quality": quality}
    meta = SimpleNamespace(team=team, date=date)
    return SimpleNamespace(title=title, slug=title, rank=rank, report=SimpleNamespace(scores=scores, meta=meta))


def parse(chart):
    """The SVG, well formed, with a name and a description for who cannot see it, and no inline style."""
    svg = ET.fromstring(str(chart.svg))
    assert (svg.tag, svg.get("role")) == ("svg", "img")
    title, about = svg[0], svg[1]
    assert svg.get("aria-labelledby").split() == [title.get("id"), about.get("id")]
    assert title.text and about.text
    assert not any("style" in one.attrib for one in svg.iter())
    return svg


def of_class(svg, tag, kind):
    return [
        one for one in svg.iter(None if tag == "*" else tag) if set(kind.split()) <= set(one.get("class", "").split())
    ]


def texts(svg, kind):
    return [one.text for one in of_class(svg, "text", kind)]


def axis(svg, ends, along):
    """Grid value -> place, as a reader of the chart has them."""
    lines = of_class(svg, "line", "grid")
    places = [float(one.get(f"{along}1")) for one in lines if one.get(f"{along}1") == one.get(f"{along}2")]
    return dict(zip(ends, places))


def test_plane_puts_points_where_its_grid_says():
    rows = [
        row("a", 0.6, style=0.70, text=0.45, quality=0.45),
        row("b", 0.4, style=0.50, text=0.40, quality=0.40, rank=2),
    ]
    svg = parse(charts.plane(WORDS, "p", rows))
    up = axis(svg, map(float, texts(svg, "tick end")), "y")
    across = axis(svg, map(float, texts(svg, "middle")), "x")
    (low, high), (left, right) = sorted(up)[:: len(up) - 1], sorted(across)[:: len(across) - 1]
    found = {}
    for point in of_class(svg, "circle", "point"):
        x = left + (float(point.get("cx")) - across[left]) / (across[right] - across[left]) * (right - left)
        y = low + (float(point.get("cy")) - up[low]) / (up[high] - up[low]) * (high - low)
        found[point[0].text.split(":")[0]] = (x, y)
    assert found["a"] == pytest.approx((0.90, 0.70), abs=2e-3)
    assert found["b"] == pytest.approx((0.80, 0.50), abs=2e-3)
    assert texts(svg, "rank-label") == ["1", "2"]


def test_curves_of_the_plane_hold_one_final():
    rows = [row("a", 0.6, style=0.9, text=0.5, quality=0.5), row("b", 0.1, style=0.3, text=0.2, quality=0.2)]
    svg = parse(charts.plane(WORDS, "p", rows))
    up = axis(svg, map(float, texts(svg, "tick end")), "y")
    across = axis(svg, map(float, texts(svg, "middle")), "x")
    (low, high), (left, right) = sorted(up)[:: len(up) - 1], sorted(across)[:: len(across) - 1]
    curves = of_class(svg, "path", "iso")
    assert len(curves) > 2
    for curve in curves:
        finals = []
        for pair in curve.get("d")[1:].split("L"):
            x, y = map(float, pair.split())
            style = low + (y - up[low]) / (up[high] - up[low]) * (high - low)
            finals.append(style * (left + (x - across[left]) / (across[right] - across[left]) * (right - left)))
        assert max(finals) - min(finals) < 0.01


def test_composition_adds_up_to_final():
    scores = dict(dino=0.120226, hist=0.779055, fid=1.674596, lpips=0.428658, clip_iqa=0.757711, clip_r=0.930667)
    whole, half = {**scores, "final": 0.512078}, {**scores, "fid": 20.0, "clip_iqa": 0.0, "final": 0.2626}
    chart = charts.composition(WORDS, "c", [("a", whole), ("b", half), ("none", {**whole, "final": None})])
    svg = parse(chart)
    bars = {}
    for segment in svg.iter("rect"):
        bars.setdefault(segment.get("y"), []).append(float(segment.get("width")))
    first, second = bars.values()
    assert sum(first) == pytest.approx(330, abs=0.5)
    assert sum(second) / sum(first) == pytest.approx(0.5642 * 0.465334 / 0.512078, abs=2e-3)
    assert second[4] == second[5] == 0  # FID and CLIP-IQA
    assert texts(svg, "bar-name") == ["a", "b"]
    assert [label.text for _, label in chart.legend] == ["DINO", "Hist", "LPIPS", "CLIP-R", "FID", "CLIP-IQA"]


def test_history_draws_a_line_for_each_team_and_its_legend():
    rows = [
        row("a", 0.6, team="owls", date="2024-06-01"),
        row("b", 0.5, team="kiln", date="2024-05-01T12:00:00+02:00"),
        row("c", 0.4, team="owls", date="2024-04-01"),
        row("d", 0.3),
    ]
    chart = charts.history(WORDS, "h", rows)
    svg = parse(chart)
    assert [label.text for _, label in chart.legend] == ["owls", "kiln"]
    assert len([one for one in svg.iter("path") if "line" in one.get("class").split()]) == 1  # kiln has one entry
    assert len([one for one in svg.iter() if "point" in one.get("class", "").split()]) == 3
    assert {"2024-04-01", "2024-06-01"} <= set(texts(svg, "tick"))


def test_more_teams_than_colours_share_the_last_one():
    rows = [row(f"{i}", 0.9 - i / 100, team=f"team {i}", date=f"2024-05-{i + 1:02}") for i in range(12)]
    chart = charts.history(WORDS, "h", rows)
    assert [label.text for _, label in chart.legend] == [*(f"team {i}" for i in range(7)), "other teams"]
    assert len({str(swatch) for swatch, _ in chart.legend}) == 8


def test_panels_have_one_scale_and_mark_the_mean():
    values = dict(dino=0.2, hist=0.8, lpips=0.4, clip_r=1.0, clip_iqa=None)
    panels = charts.style_panels(WORDS, {"00": values, "01": {**values, "dino": 0.4}})
    (_, one), (_, two) = panels
    first, second = parse(one), parse(two)
    width = lambda svg: [float(bar.get("width")) for bar in svg.iter("rect") if "trough" not in bar.get("class")]  # noqa: E731
    assert width(first) == pytest.approx([18.4, 73.6, 55.2, 92.0], abs=0.06)  # of 92; LPIPS as 1 - LPIPS
    assert width(second)[0] == pytest.approx(36.8, abs=0.06)
    mean = [line.get("x1") for svg in (first, second) for line in of_class(svg, "line", "mean")]
    assert mean[0] == mean[4] == short(54 + 92 * 0.3)
    assert first[1].text == "DINO 0.200, Hist 0.800, 1−LPIPS 0.600, CLIP-R 1.000, CLIP-IQA –"


def test_panels_of_a_ranking_put_its_entries_on_one_scale():
    values = dict(dino=0.5, hist=0.5, lpips=0.5)  # 0.5 by the formula of Style
    rows = [row("a", rank=1), row("b", rank=2)]
    rows[0].report.styles = {"00": values, "01": {**values, "hist": 0.75}}  # 0.6
    rows[1].report.styles = {"00": {**values, "lpips": 0.25}, "01": {**values, "dino": None}}  # 0.6
    (_, one), (_, two) = charts.ranking_panels(WORDS, rows)
    first, second = parse(one), parse(two)
    points = {mark[0].text: mark.get("cx") or mark.get("d").split()[0][1:] for mark in of_class(first, "*", "point")}
    (best,) = of_class(second, "circle", "point")  # the other one lacks DINO
    assert best[0].text == "a: 0.6000" and best.get("cx") == points["b: 0.6000"]
    assert float(points["a: 0.5000"]) < float(points["b: 0.6000"])
    assert first[1].text == "2 entries; b is best with 0.6000."
    assert charts.ranking_panels(WORDS, rows[:1]) == []


def test_losses_share_one_scale():
    curves = {"00": ((1, 0.4), (100, 0.2)), "01": ((1, 0.3), (50, 0.3)), "02": ((1, 0.1),)}
    panels = charts.losses(WORDS, curves)
    assert [style for style, _ in panels] == ["00", "01"]
    ends = [of_class(parse(chart), "path", "line")[0].get("d") for _, chart in panels]
    heights = [[float(pair.split()[1]) for pair in path[1:].split("L")] for path in ends]
    assert heights[1][0] == heights[1][1] == pytest.approx(sum(heights[0]) / 2, abs=0.11)


def test_nothing_is_drawn_of_too_little():
    assert charts.plane(WORDS, "p", [row()]) is None
    assert charts.plane(WORDS, "p", [row(), row(style=None)]) is None
    assert charts.history(WORDS, "h", [row(date="2024-05-01"), row()]) is None
    assert (
        charts.composition(
            WORDS, "c", [("a", dict.fromkeys(("dino", "hist", "lpips", "clip_r", "fid", "clip_iqa", "final")))]
        )
        is None
    )
    assert charts.losses(WORDS, {"00": ()}) == []


@pytest.mark.parametrize("final", [0.0, -0.3, 1e11, 0.5])
def test_strange_values_and_names_are_drawn_all_the_same(final):
    rows = [
        row(HOSTILE, final, style=final, team=HOSTILE, date="2024-05-01"),
        row("b", 0.5, team=None, date="2024-05-01", rank=None),
    ]
    for chart in (charts.plane(WORDS, "p", rows), charts.history(WORDS, "h", rows)):
        svg = parse(chart)
        assert not list(svg.iter("script"))
        assert "nan" not in str(chart.svg) and "inf" not in str(chart.svg)
    assert HOSTILE in "".join(parse(charts.plane(WORDS, "p", rows)).itertext())


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.4412, 0.4498), (-3, 7), (1e-6, 2e-6), (0, 1e12), (0.1, 0.1)])
def test_ticks_are_few_round_and_inside(low, high):
    found = ticks(scale([low, high], 0, 100))
    assert 2 <= len(found) <= 6
    values = [value for value, _ in found]
    assert all(scale([low, high], 0, 100).low <= value <= scale([low, high], 0, 100).high for value in values)
    assert len({text for _, text in found}) == len(found)
    assert all(float(text) == pytest.approx(value, abs=1e-9) for value, text in found)


def test_small_things():
    assert Scale(0, 10, 100, 0)(2.5) == 75
    assert [short(value) for value in (0, -0.04, 1.04, 2.55, -3.0, 100)] == ["0", "0", "1", "2.5", "-3", "100"]
    assert fit("average image", 7) == "average…"
    assert fit("薄荷工作室", 6) == "薄荷工…"
    assert fit("short", 7) == "short"
