from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_reports import formula, make_report, plain_scores
from scipy import stats

from evaluator.analysis.bootstrap import FIGURES, draw_weights, intervals, replicate, replicate_fid
from evaluator.analysis.cells import cells_to_scores, hold_fid
from evaluator.analysis.frechet import weights_to_fids
from evaluator.metrics.fid import features_to_moments, moments_to_fid


def test_each_style_keeps_its_size_in_every_resample():
    style = np.array([0, 0, 0, 1, 2, 2])
    weights = draw_weights(style, resamples=2000, seed=3)
    for place, size in enumerate((3, 1, 2)):
        assert (weights[:, style == place].sum(axis=1) == size).all()
    assert (weights >= 0).all()
    # each cell is taken once on average, and three draws from three take a cell not at all in 8 of 27 resamples
    np.testing.assert_allclose(weights.mean(axis=0), 1, atol=0.06)
    assert np.mean(weights[:, 0] == 0) == pytest.approx(8 / 27, abs=0.04)


def test_the_seed_alone_decides_the_draws():
    style = np.repeat([0, 1], 6)
    first = draw_weights(style, 20, seed=1)
    np.testing.assert_array_equal(first, draw_weights(style, 20, seed=1))
    assert (first != draw_weights(style, 20, seed=2)).any()


# LPIPS and FID around where the formula cuts them off, where some replicates lie on either side
@pytest.mark.parametrize(("lpips", "shift"), [(0.45, 0.0), (1.0, 0.31)])
def test_replicates_agree_with_resampling_by_hand(lpips, shift):
    _, cells = make_report([5, 3], lpips=lpips, shift=shift)
    weights = draw_weights(cells.style, resamples=40, seed=0)
    found = replicate(cells, weights)
    expected = []
    for counts in weights:
        rows = np.repeat(np.arange(8), counts)
        first, second = rows[rows < 5], rows[rows >= 5]
        means = {
            key: (np.mean(cells.values[key][first]) + np.mean(cells.values[key][second])) / 2
            for key in ("dino", "hist", "lpips", "clip_iqa")
        }
        means["clip_r"] = cells.values["clip_r"][rows].sum() / 8
        means["fid"] = moments_to_fid(cells.real, features_to_moments(cells.stems[rows]))
        expected.append(means)
    moved = np.mean([means["fid"] for means in expected]) - cells.fid
    for means in expected:
        means["fid"] -= moved
        means.update(formula(**means))
    if lpips == 1.0:
        for key, limit in (("lpips", 1), ("fid", 20)):
            assert min(means[key] for means in expected) < limit < max(means[key] for means in expected)
    for figure in FIGURES:
        np.testing.assert_allclose(found[figure], [means[figure] for means in expected], atol=2e-5, err_msg=figure)
        if figure in ("dino", "hist", "lpips", "clip_iqa", "clip_r", "style", "text"):  # without FID's rounding
            np.testing.assert_allclose(found[figure], [means[figure] for means in expected], atol=1e-12)


def test_every_cell_once_is_the_score_itself():
    report, cells = make_report([4, 2, 5])
    plain = plain_scores(report)
    for figure, value in {**plain, **formula(**plain)}.items():
        assert getattr(cells_to_scores(cells), figure) == pytest.approx(value, abs=1e-12)
        assert replicate(cells, np.ones((1, 11)))[figure][0] == pytest.approx(value, abs=1e-12)


def test_fid_has_the_official_value_for_any_rows():
    _, cells = make_report([30, 40], shift=0.1)
    weights = draw_weights(cells.style, resamples=5, seed=0)
    official = [moments_to_fid(cells.real, features_to_moments(np.repeat(cells.stems, row, axis=0))) for row in weights]
    np.testing.assert_allclose(weights_to_fids(cells.stems, weights, cells.real), official, atol=1e-5)


def test_more_resamples_than_one_block_are_the_same_resamples():
    _, cells = make_report([6])
    weights = draw_weights(cells.style, resamples=600, seed=0)
    alone = [weights_to_fids(cells.stems, weights[row : row + 1], cells.real)[0] for row in (0, 300, 599)]
    np.testing.assert_allclose(weights_to_fids(cells.stems, weights, cells.real)[[0, 300, 599]], alone, atol=1e-10)


def test_duplicates_add_the_bias_of_a_small_set_a_second_time():
    # the true distance is 0: all of a score is the bias of having 60 rows
    random = np.random.default_rng(0)
    real = np.zeros(8), np.eye(8)
    scores, shifts = [], []
    for seed in range(12):
        rows = random.normal(size=(60, 8))
        score = weights_to_fids(rows, np.ones((1, 60)), real)[0]
        replicates = weights_to_fids(rows, draw_weights(np.zeros(60, int), 100, seed), real)
        scores.append(score)
        shifts.append(replicates.mean() - score)
    assert np.mean(shifts) == pytest.approx(np.mean(scores), rel=0.25)
    assert min(shifts) > 0.3 * np.mean(scores)


def test_fid_replicates_are_moved_back_to_the_score():
    _, cells = make_report([20, 20])
    weights = draw_weights(cells.style, resamples=200, seed=0)
    raw = weights_to_fids(cells.stems, weights, cells.real)
    assert raw.min() > cells.fid  # left alone, the score would lie outside its own interval
    moved = replicate_fid(cells, weights)
    assert moved.mean() == pytest.approx(cells.fid)
    assert moved.std() == pytest.approx(raw.std())
    low, high = intervals(cells)["fid"]
    assert low < cells.fid < high


def test_intervals_of_a_perfect_entry_end_where_the_figures_do():
    """Outputs that are their own references: every metric at the end of its range, beyond it by rounding."""
    _, cells = make_report([3, 4])
    best = {"dino": 1.0 + 1e-15, "hist": 1.0 + 1e-15, "lpips": -1e-9, "clip_iqa": 1.0, "clip_r": 1.0}
    values = {key: np.full(7, value) for key, value in best.items()}
    perfect = replace(cells, values=values, fid=-2.5e-6, real=features_to_moments(cells.stems))
    raw = weights_to_fids(cells.stems, draw_weights(cells.style, 300, 0), perfect.real)
    assert (raw - raw.mean()).min() < 0
    found = intervals(perfect, resamples=300)
    assert found["fid"][0] == 0 < found["fid"][1]
    limits = {"dino": 1, "hist": 1, "clip_iqa": 1, "clip_r": 1, "style": 1, "text": 0.5, "quality": 0.5, "final": 1}
    assert {figure: found[figure][1] for figure in limits} == limits
    assert found["lpips"] == [0, 0]
    assert intervals(hold_fid(perfect), resamples=300)["quality"] == [0.5, 0.5]


def test_intervals_agree_with_scipy():
    _, cells = make_report([12])
    found = intervals(cells, resamples=8000, seed=0)
    for figure in ("dino", "hist", "lpips", "clip_iqa"):
        other = stats.bootstrap(
            (cells.values[figure],),
            np.mean,
            method="percentile",
            n_resamples=8000,
            random_state=np.random.default_rng(1),
        ).confidence_interval
        width = other.high - other.low
        np.testing.assert_allclose(found[figure], [other.low, other.high], atol=0.05 * width)


def test_intervals_cover_every_field_and_repeat():
    report, cells = make_report([6, 6])
    found = intervals(cells, resamples=300, seed=4)
    assert list(found) == list(FIGURES)
    assert found == intervals(cells, resamples=300, seed=4) != intervals(cells, resamples=300, seed=5)
    for figure, (low, high) in found.items():
        assert low < getattr(report.scores, figure) < high, figure


def test_without_features_fid_is_held_fixed():
    _, cells = make_report([6, 6])
    found = intervals(hold_fid(cells), resamples=300)
    assert found["fid"] == [cells.fid, cells.fid]
    assert found["dino"] == intervals(cells, resamples=300)["dino"]
