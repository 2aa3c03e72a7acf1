from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from statistics import median

import pytest
from made_reports import change, formula, make_report, plain_scores, settle

from evaluator.analysis.cells import cells_of
from evaluator.analysis.explain import explain, find_gains
from evaluator.scoring.formula import TERMS

# ordinary; LPIPS beyond 1, so that its term is cut off; FID beyond 20
MADE = {"ordinary": {}, "lpips": {"lpips": 1.2}, "fid": {"shift": 0.6}}


@pytest.mark.parametrize("kind", MADE)
def test_shares_of_pictures_and_of_styles_sum_to_final(kind):
    report, cells = make_report([5, 3, 4], **MADE[kind])
    found = explain(report, cells)
    assert sum(row.share for row in found.pictures) == pytest.approx(report.scores.final, abs=1e-12)
    assert sum(row.share for row in found.styles) == pytest.approx(report.scores.final, abs=1e-12)
    assert [row.images for row in found.styles] == [5, 3, 4]
    for row in found.styles:
        own = [picture for picture in found.pictures if picture.style == row.style]
        for term in TERMS:
            assert row.parts[term] == pytest.approx(sum(picture.parts[term] for picture in own), abs=1e-15)
        assert row.share == pytest.approx(sum(row.parts.values()), abs=1e-15)
    cut = {"lpips": "lpips", "fid": "fid"}.get(kind)
    for term in TERMS:
        assert all((row.parts[term] == 0) == (term == cut) for row in found.styles)


@pytest.mark.parametrize("kind", MADE)
def test_a_pictures_share_is_its_shapley_value(kind):
    # every order in which the pictures can join, by the definition; those that have not joined give nothing
    report, cells = make_report([3, 1], **MADE[kind])
    total = plain_scores(report)
    weights = [1 / 6, 1 / 6, 1 / 6, 1 / 2]  # in a mean over pictures and then styles

    def worth(joined):
        def mean(key):
            return sum(weights[i] * cells.values[key][i] for i in joined)

        closeness = sum(weights[i] * (1 - cells.values["lpips"][i]) for i in joined) if total["lpips"] < 1 else 0
        style = 0.2 * mean("dino") + 0.4 * mean("hist") + 0.4 * closeness
        text = 0.5 * sum(cells.values["clip_r"][i] for i in joined) / 4
        return style * (text + 0.4 * (1 - min(total["fid"], 20) / 20) * len(joined) / 4 + 0.1 * mean("clip_iqa"))

    shapley = [0.0] * 4
    for order in permutations(range(4)):
        for place, joining in enumerate(order):
            shapley[joining] += (worth(order[: place + 1]) - worth(order[:place])) / 24
    assert [row.share for row in explain(report, cells).pictures] == pytest.approx(shapley, abs=1e-14)


@pytest.mark.parametrize("hits", [0.8, 0.3])
def test_gains_are_what_the_formula_gives_with_the_picture_replaced(hits):
    report, cells = make_report([5, 4], hits=hits)
    gains = {(gain.style, gain.name): gain for gain in find_gains(cells)}
    assert len(gains) == 9
    keys = {"dino": ["dino"], "hist": ["hist_rgb", "hist_hsv"], "lpips": ["lpips"], "clip_iqa": ["clip_iqa"]}
    for style, images in report.images.items():
        rows = list(images.values())
        hit = sum(scores.clip_r_correct for scores in rows) > len(rows) / 2
        # the median of the mean of both histograms stands for either
        middle = {"hist": median((scores.hist_rgb + scores.hist_hsv) / 2 for scores in rows)}
        middle.update({key: median(getattr(scores, key) for scores in rows) for key in keys if key != "hist"})
        new = {metric: dict.fromkeys(own, middle[metric]) for metric, own in keys.items()}
        new["clip_r"] = {"clip_r_correct": hit}
        for name, scores in images.items():

            def final(edits, style=style, name=name, scores=scores):
                changed = replace(scores, **{key: value for edit in edits for key, value in edit.items()})
                images = {**report.images, style: {**report.images[style], name: changed}}
                return formula(**plain_scores(replace(report, images=images)))["final"]

            gain = gains[style, name]
            assert gain.gain == pytest.approx(final(new.values()) - report.scores.final, abs=1e-13)
            alone = {metric: final([edit]) for metric, edit in new.items()}
            assert alone[gain.metric] == max(alone.values())
            assert gain.median == pytest.approx(float(hit) if gain.metric == "clip_r" else middle[gain.metric])


def test_gains_come_greatest_first_and_losses_are_not_shown():
    report, cells = make_report([8, 8])
    found = explain(report, cells)
    gains = [gain.gain for gain in found.gains]
    assert gains == sorted(gains, reverse=True)
    assert gains[0] > 0 > gains[-1]
    assert found.top_gains(3) == found.gains[:3]
    assert [gain.gain for gain in found.top_gains(99)] == [gain for gain in gains if gain > 0]


def test_the_outlier_is_found_and_its_metric_named():
    def spoil(style, name, scores):
        return replace(scores, lpips=0.95) if (style, name) == ("01", "Noun 02.png") else scores

    report, cells = change(make_report([6, 6], hits=1.0), spoil)
    first = explain(report, cells).gains[0]
    assert (first.style, first.name, first.metric, first.value) == ("01", "Noun 02.png", "lpips", 0.95)


def test_where_half_the_pictures_are_hits_the_median_is_a_miss():
    def halve(style, name, scores):
        # alike but for CLIP-R, so that nothing else can gain
        return replace(report.images["00"]["Noun 00.png"], clip_r_correct=name < "Noun 02.png")

    report, _ = make_report([4])
    halved, cells = change(make_report([4]), halve)
    gains = {gain.name: gain for gain in explain(halved, cells).gains}
    assert gains["Noun 03.png"].gain == 0  # a miss stays one
    assert gains["Noun 00.png"].gain == pytest.approx(halved.scores.style * -0.5 / 4)


def test_misses_tell_rank_and_what_was_seen():
    report, cells = make_report([6, 6], hits=0.5)
    found = explain(report, cells).misses
    wrong = [(s, n) for s, images in report.images.items() for n in images if not images[n].clip_r_correct]
    assert 0 < len(wrong) < 12
    assert [(miss.style, miss.name) for miss in found] == wrong
    assert found[0].rank == 9
    assert found[0].seen == ["whale", "shark", "penguin", "otter", "boat"]


def test_pictures_are_in_the_order_of_styles_and_names():
    report, _ = make_report([3, 3])
    turned = {style: dict(reversed(images.items())) for style, images in reversed(report.images.items())}
    turned_report, cells = settle(replace(report, images=turned))
    expected = [(style, f"Noun {place:02d}.png") for style in ("01", "00") for place in range(3)]
    assert cells.keys == expected == cells_of(turned_report).keys
    assert [(row.style, row.name) for row in explain(turned_report, cells).pictures] == expected
