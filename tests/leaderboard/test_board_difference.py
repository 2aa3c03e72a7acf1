"""A difference in Final, split: the parts add up, and each is what the formula makes of it."""

import itertools
import random
from types import SimpleNamespace

import pytest

from leaderboard.building.difference import METRICS, PER_STYLE, difference, picture_value, shares_of_final, terms

PUBLISHED = dict(dino=0.120226, hist=0.779055, fid=1.674596, lpips=0.428658, clip_iqa=0.757711, clip_r=0.930667)


def final_of(scores):
    """The published formula, written down again."""
    style = 0.2 * scores["dino"] + 0.4 * scores["hist"] + 0.4 * max(0.0, 1 - scores["lpips"])
    quality = 0.4 * (20 - min(scores["fid"], 20.0)) / 20 + 0.1 * scores["clip_iqa"]
    return style, 0.5 * scores["clip_r"] + quality


def entry(seed, counts=(4, 4, 7), **changes):
    """An entry whose totals are made of its pictures as the checker makes them."""
    draw = random.Random(seed)
    images, styles = {}, {}
    for number, count in enumerate(counts):
        pictures = []
        for i in range(count):
            rgb, hsv = draw.random(), draw.random()
            scores = dict(dino=draw.random(), hist_rgb=rgb, hist_hsv=hsv, lpips=draw.random(), clip_iqa=draw.random())
            pictures.append(SimpleNamespace(file=f"{i}.png", hit=draw.random() < 0.6, scores=scores))
        style = f"{number:02}"
        images[style] = tuple(pictures)
        styles[style] = {key: sum(picture_value(picture, key) for picture in pictures) / count for key in PER_STYLE} | {
            "hist_rgb": None,
            "hist_hsv": None,
        }
    totals = {key: sum(style[key] for style in styles.values()) / len(styles) for key in PER_STYLE}
    totals["clip_r"] = sum(picture.hit for group in images.values() for picture in group) / sum(counts)
    scores = {**totals, "fid": draw.uniform(0, 19), **changes}
    counts = {style: len(group) for style, group in images.items()}
    return SimpleNamespace(scores=scores, styles=styles, images=images, counts=counts)


def test_terms_give_the_published_final():
    found = terms(PUBLISHED)
    style = found["dino"] + found["hist"] + found["lpips"]
    assert style == pytest.approx(0.5642, abs=5e-5)
    assert style * (found["clip_r"] + found["fid"] + found["clip_iqa"]) == pytest.approx(0.512078, abs=1e-6)
    assert sum(shares_of_final(PUBLISHED).values()) == pytest.approx(0.512078, abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_parts_add_up_to_the_difference(seed):
    a, b = entry(seed), entry(seed + 100)
    found = difference(a, b)
    (style_a, rest_a), (style_b, rest_b) = final_of(a.scores), final_of(b.scores)
    assert found.total == pytest.approx(style_a * rest_a - style_b * rest_b, abs=1e-12)
    assert sum(found.metrics.values()) == pytest.approx(found.total, abs=1e-12)
    in_styles = sum(sum(parts.values()) for parts in found.styles.values())
    assert in_styles + found.elsewhere == pytest.approx(found.total, abs=1e-12)
    assert found.elsewhere == pytest.approx(found.metrics["fid"], abs=1e-12)  # nothing else is left over
    for key in PER_STYLE:
        assert sum(parts[key] for parts in found.styles.values()) == pytest.approx(found.metrics[key], abs=1e-12)


def test_split_is_the_mean_over_all_orders_of_exchange():
    a, b = entry(1), entry(2)
    sums, orders = dict.fromkeys(METRICS, 0.0), list(itertools.permutations(METRICS))
    for order in orders:
        scores = dict(b.scores)
        for key in order:
            before = final_of(scores)
            scores[key] = a.scores[key]
            after = final_of(scores)
            sums[key] += after[0] * after[1] - before[0] * before[1]
    # exchanging the metrics one by one, in every order, is Shapley's value; for a product of two sums it is ours
    assert {key: value / len(orders) for key, value in sums.items()} == pytest.approx(
        dict(difference(a, b).metrics), abs=1e-12
    )


def test_pictures_of_a_style_add_up_to_its_part():
    a, b = entry(3), entry(4)
    found = difference(a, b)
    for style, parts in found.styles.items():
        for key in PER_STYLE:
            values = [[picture_value(one, key) for one in side.images[style]] for side in (a, b)]
            each = 1 / 15 if key == "clip_r" else 1 / len(values[0]) / 3
            mine = sum((one - two) * each * found.rates[key] for one, two in zip(*values))
            assert mine == pytest.approx(parts[key], abs=1e-12)


def test_what_is_cut_off_counts_for_nothing():
    found = difference(entry(1, fid=25.0), entry(1, fid=40.0))
    assert found.total == found.metrics["fid"] == 0
    assert difference(entry(1, lpips=1.5), entry(1, lpips=1.2)).metrics["lpips"] == 0
    half = difference(entry(1, fid=19.0), entry(1, fid=30.0))
    assert half.metrics["fid"] == pytest.approx(half.total) and half.total > 0


def test_entries_with_other_styles_and_counts_still_add_up():
    a, b = entry(5, (4, 4, 7)), entry(6, (2, 9))
    found = difference(a, b)
    assert set(found.styles) == {"00", "01", "02"}
    assert found.elsewhere == pytest.approx(found.metrics["fid"], abs=1e-12)


def test_no_split_where_a_score_is_lacking():
    assert difference(entry(1, fid=None), entry(2)) is None
    assert difference(entry(1), entry(2, dino=None)) is None
    assert shares_of_final({**PUBLISHED, "hist": None}) is None


def test_an_entry_differs_from_itself_in_nothing():
    found = difference(entry(7), entry(7))
    assert found.total == found.elsewhere == 0
    assert found.rates["lpips"] < 0 < found.rates["hist"]
