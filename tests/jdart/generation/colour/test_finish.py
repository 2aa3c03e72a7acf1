"""The finish against SciPy: the linear programme of optimal transport, the objective of the loose one, quantiles."""

import itertools

import cv2
import numpy as np
import pytest
from scipy.optimize import linprog, minimize

from contest.errors import UserError
from jdart.config import FinishConfig
from jdart.generation.colour import finish
from jdart.generation.colour.finish import Colours, distances, finished, finisher, palette, sinkhorn, transported

WHOLE = FinishConfig(strength=1.0, balance=1.0)


def colours(rng, count):
    shares = rng.uniform(0.5, 1.5, count)
    return Colours(rng.uniform(0, 255, (count, 3)), shares / shares.sum())


def scene(rng, ground, thing, size=48):
    """A picture with a disc on a ground, both a little uneven."""
    y, x = np.mgrid[:size, :size] - size / 2
    picture = np.where((x**2 + y**2 < (size / 3) ** 2)[..., None], thing, ground) + rng.normal(0, 4, (size, size, 3))
    return picture.clip(0, 255).astype(np.uint8)


def plan_of(source, target, potential, entropy):
    weights = (potential - distances(source.values, target.values)) / entropy + np.log(target.shares)
    weights = np.exp(weights - weights.max(1, keepdims=True))
    return source.shares[:, None] * weights / weights.sum(1, keepdims=True)


def test_distance_counts_lightness_again():
    grey, red = np.array([[10.0, 10, 10], [0, 0, 0]])
    axis = np.array([0.299, 0.587, 0.114])
    along = (grey - red) @ axis / np.linalg.norm(axis)
    expected = 300 + 8.0 * along**2
    np.testing.assert_allclose(distances(grey[None], red[None]), [[expected]])


def test_little_entropy_is_the_linear_programme(rng):
    source, target = colours(rng, 6), colours(rng, 5)
    cost = distances(source.values, target.values)
    rows = np.kron(np.eye(6), np.ones(5))
    columns = np.kron(np.ones(6), np.eye(5))
    best = linprog(cost.ravel(), A_eq=np.vstack([rows, columns]), b_eq=np.r_[source.shares, target.shares]).fun
    plan = plan_of(source, target, sinkhorn(source, target, 1.0, entropy=400.0), 400.0)
    np.testing.assert_allclose(plan.sum(axis=0), target.shares, atol=3e-3)
    assert 0.99 * best < (plan * cost).sum() < best + 400 * np.log(30)


@pytest.mark.parametrize("balance", [0.0, 0.5, 0.9])
def test_loose_plan_is_the_least_of_its_objective(balance, rng):
    """Cost, entropy, and the divergence of the palette's shares by its weight, minimised over all plans of the rows."""
    entropy, source, target = 20000.0, colours(rng, 3), colours(rng, 4)
    cost, weight = distances(source.values, target.values), entropy * balance / (1 - balance)

    def divergence(p, q):
        return (p * np.log(p / q) - p + q).sum()

    def plan(free):
        weights = np.exp(free.reshape(3, 4) - free.reshape(3, 4).max(1, keepdims=True))
        return source.shares[:, None] * weights / weights.sum(1, keepdims=True)

    def objective(free):
        p = plan(free)
        apart = divergence(p, np.outer(source.shares, target.shares))
        return ((p * cost).sum() + entropy * apart + weight * divergence(p.sum(0), target.shares)) / entropy

    found = minimize(objective, np.zeros(12), method="BFGS", options={"gtol": 1e-9})
    ours = plan_of(source, target, sinkhorn(source, target, balance, entropy), entropy)
    np.testing.assert_allclose(ours, plan(found.x), atol=2e-3)


def test_the_map_is_the_mean_of_the_plan(rng):
    source, target = colours(rng, 7), colours(rng, 9)
    potential = sinkhorn(source, target, 0.9)
    plan = plan_of(source, target, potential, finish.ENTROPY)
    expected = plan @ target.values / source.shares[:, None]
    np.testing.assert_allclose(transported(source.values, target, potential), expected, rtol=1e-9)


@pytest.mark.parametrize("references", [1, 10])
def test_the_palette_is_that_of_all_references_together(references, rng):
    ground, things = (30, 80, 160), [(240, 240, 250), (220, 60, 40)]
    pictures = [scene(rng, ground, thing) for thing, _ in zip(itertools.cycle(things), range(references))]
    drawn = scene(rng, (60, 60, 90), (200, 190, 170))
    done = finished(drawn, palette(pictures), WHOLE)
    pool = np.concatenate([picture.reshape(-1, 3) for picture in pictures]).astype(float)
    share = np.linspace(0.02, 0.98, 25)
    for channel in range(3):
        ours, theirs = (np.quantile(p.reshape(-1, 3)[:, channel], share) for p in (done, pool))
        assert np.median(np.abs(ours - theirs)) < 4, channel  # a quantile between two peaks may be in either

    def histogram(images):
        return sum(cv2.calcHist([image], [0, 1], None, [16, 16], [0, 256] * 2) for image in images)

    before, after = (cv2.compareHist(histogram(pictures), histogram([p]), cv2.HISTCMP_CORREL) for p in (drawn, done))
    assert before < 0.2
    assert after > 0.9


def test_a_reference_stays_about_what_it_is(rng):
    picture = scene(rng, (30, 80, 160), (240, 240, 250))
    done = finished(picture, palette([picture]), WHOLE)
    assert np.abs(done.astype(int) - picture).max() < 24
    assert np.abs(done.astype(int) - picture).mean() < 6


def test_a_flat_area_stays_flat_and_the_things_edge_stays(rng):
    picture = scene(rng, (60, 60, 90), (200, 190, 170))
    picture[:8] = (61, 62, 88)
    done = finished(picture, palette([scene(rng, (30, 80, 160), (240, 240, 250))]), WHOLE)
    assert (done[:8] == done[0, 0]).all()
    light = np.array([0.299, 0.587, 0.114])
    before, after = ((p @ light > 128) for p in (picture, done))
    assert (before == after).mean() > 0.99


def test_strength_is_the_share_of_the_way(rng):
    picture, target = scene(rng, (60, 60, 90), (200, 190, 170)), palette([scene(rng, (30, 80, 160), (240, 240, 250))])
    whole = finished(picture, target, WHOLE).astype(float)
    half = finished(picture, target, FinishConfig(strength=0.5, balance=1.0))
    assert np.abs(half - (picture + whole) / 2).max() <= 1


def test_less_balance_leaves_a_colour_nearer_to_what_it_was(rng):
    """A red thing stays red where the palette has little red, unless its shares are to be kept."""
    mostly_blue = np.concatenate([scene(rng, (30, 80, 160), (240, 240, 250))] * 3)
    mostly_blue[:4] = (210, 40, 40)
    picture, target = scene(rng, (40, 70, 150), (200, 50, 50)), palette([mostly_blue])
    red = [finished(picture, target, FinishConfig(1.0, balance))[24, 24, 0].astype(int) for balance in (0.0, 0.9, 1.0)]
    assert red[0] > 195
    assert red[0] >= red[1]
    tight = finished(picture, target, WHOLE)
    loose = finished(picture, target, FinishConfig(1.0, 0.0))
    assert ((tight[..., 0] > 195) & (tight[..., 2] < 100)).mean() < (
        (loose[..., 0] > 195) & (loose[..., 2] < 100)
    ).mean()


@pytest.mark.parametrize("level", [0, 127, 255])
def test_one_colour_is_refused_and_two_are_taken(level, rng):
    flat = np.full((8, 8, 3), level, np.uint8)
    with pytest.raises(UserError, match="have one colour only"):
        palette([flat, flat])
    split = flat.copy()
    split[:4] = 255 - level if level != 127 else 0
    picture = scene(rng, (60, 60, 90), (200, 190, 170))
    done = finished(picture, palette([split]), WHOLE)
    assert done.shape == picture.shape
    assert len(np.unique(done.reshape(-1, 3), axis=0)) > 1
    one_tone = finished(flat, palette([picture]), WHOLE)
    assert (one_tone == one_tone[0, 0]).all()


def test_far_apart_palettes_overflow_nowhere(rng):
    black = rng.integers(0, 20, (16, 16, 3)).astype(np.uint8)
    white = (255 - black).astype(np.uint8)
    for balance in (0.0, 0.3, 0.99, 1.0):
        done = finished(black, palette([white]), FinishConfig(1.0, balance))
        assert done.min() > 200


def test_without_a_finish_a_picture_is_left_alone(rng):
    picture = scene(rng, (60, 60, 90), (200, 190, 170))
    assert finisher(None, ())(picture) is picture
