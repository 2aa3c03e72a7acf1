"""FID of sets and swaps, beside SciPy and the evaluator's own."""

import numpy as np
import pytest
from made_candidates import fid_by_hand

from evaluator.metrics.fid import features_to_moments, moments_to_fid
from jdart.searching.swap_fid import Stems, SwapFid

SETS = {"full rank": (20, 6), "fewer pictures than features": (5, 12)}


def case(shape):
    count, width = shape
    random = np.random.default_rng(count)
    stems = (random.normal(size=(4 * count, width)) * 3 + 1).astype(np.float32)
    references = random.normal(size=(40, width))
    return stems, references, np.arange(0, 4 * count, 4)


@pytest.mark.parametrize("shape", SETS.values(), ids=SETS)
def test_fid_of_a_set_and_of_every_swap_as_the_evaluator_gives_it(shape):
    stems, references, rows = case(shape)
    real = features_to_moments(references)
    fid = SwapFid(Stems(stems, real), rows)
    assert fid.now() == pytest.approx(moments_to_fid(real, features_to_moments(stems[rows])), rel=1e-6)
    for into in range(len(stems)):
        swapped = rows.copy()
        swapped[into // 4] = into
        expected = moments_to_fid(real, features_to_moments(stems[swapped]))
        assert fid.after(rows[into // 4], into) == pytest.approx(expected, rel=1e-6)


def test_swaps_add_up():
    stems, references, rows = case(SETS["full rank"])
    fid = SwapFid(Stems(stems, features_to_moments(references)), rows)
    rows = rows.copy()
    for into in np.random.default_rng(0).integers(0, len(stems), 200):
        fid.swap(rows[into // 4], into)
        rows[into // 4] = into
    assert fid.now() == pytest.approx(fid_by_hand(stems[rows], references), abs=1e-9)


@pytest.mark.parametrize("shape", SETS.values(), ids=SETS)
def test_no_swap_goes_below_its_floor(shape):
    stems, references, rows = case(shape)
    fid = SwapFid(Stems(stems, features_to_moments(references)), rows)
    out = np.repeat(rows, 4)
    after = np.array([fid.after(*pair) for pair in zip(out, range(len(stems)))])
    floors = fid.floors(out)
    assert (floors <= after + 1e-9).all()
    if shape == SETS["full rank"]:  # where the floor is the tangent, it touches the set as it is
        np.testing.assert_allclose(floors[rows], fid.now(), atol=1e-9)
        assert np.corrcoef(floors, after)[0, 1] > 0.95


def test_pictures_that_are_all_the_same():
    stems = np.ones((6, 3), np.float32)
    references = np.random.default_rng(1).normal(size=(9, 3))
    fid = SwapFid(Stems(stems, features_to_moments(references)), np.array([0, 1]))
    expected = ((1 - references.mean(axis=0)) ** 2).sum() + references.var(axis=0, ddof=1).sum()
    assert fid.now() == pytest.approx(expected, abs=1e-9)
    assert np.isfinite(fid.floors(np.zeros(6, int))).all()
