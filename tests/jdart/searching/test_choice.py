"""The choice with the largest Final: beside all choices there are, Final by hand, and the evaluator's own functions."""

from dataclasses import asdict
from itertools import product

import numpy as np
import pytest
from made_candidates import KEYS, final_by_hand, make

from evaluator.metrics.base import Figures, Seen, mean_of_means
from evaluator.metrics.fid import Fid
from evaluator.scoring.assemble import figures_to_scores
from jdart.searching.choice import choose, swap_finals

# where FID hardly matters, where it matters, and where the formula cuts LPIPS or FID off for some choices
CASES = {"fid small": {"spread": 0.2}, "fid large": {"spread": 1.5}, "lpips": {"lpips": 1.0}, "fid": {"shift": 2.1}}


def every_choice(candidates):
    return map(np.array, product(*(np.flatnonzero(candidates.cell == place) for place in range(len(candidates.names)))))


@pytest.mark.parametrize("settings", CASES.values(), ids=CASES)
@pytest.mark.parametrize("seed", [0, 13, 107])  # with a large FID, swaps from one way alone end lower in the last two
def test_no_choice_of_all_is_better(settings, seed):
    candidates, references = make(seed, sizes=(3, 2), **settings)
    best = max(final_by_hand(candidates, rows, references) for rows in every_choice(candidates))
    choice = choose(candidates)
    assert final_by_hand(candidates, choice.rows, references) == pytest.approx(best, abs=1e-12)
    assert choice.scores.final == pytest.approx(best, abs=1e-7)  # FID rounded to float32


@pytest.mark.parametrize("settings", CASES.values(), ids=CASES)
def test_never_worse_than_one_way_throughout_and_no_swap_gains(settings):
    for seed in range(5):
        candidates, references = make(seed, sizes=(6, 4, 2), ways=5, **settings)
        choice = choose(candidates)
        finals = [final_by_hand(candidates, np.flatnonzero(candidates.way == way), references) for way in range(5)]
        assert choice.plain.final == pytest.approx(max(finals), abs=1e-7)
        assert choice.scores.final >= choice.plain.final
        swaps = swap_finals(candidates, choice.rows)
        assert swaps.max() <= final_by_hand(candidates, choice.rows, references) + 2e-8
        for row in (0, 31, 59):
            rows = choice.rows.copy()
            rows[candidates.cell[row]] = row
            assert swaps[row] == pytest.approx(final_by_hand(candidates, rows, references), abs=1e-10)


def test_scores_are_those_of_the_evaluators_own_functions():
    candidates, references = make(7, sizes=(4, 2, 3))
    choice = choose(candidates)
    places = {style: np.flatnonzero(candidates.style == place) for place, style in enumerate(candidates.styles)}
    images = {
        key: {
            style: {candidates.names[cell]: candidates.values[key][choice.rows[cell]] for cell in cells}
            for style, cells in places.items()
        }
        for key in KEYS
    }
    figures = {key: mean_of_means(key, images[key]) for key in KEYS[:4]}
    hits = [hit for names in images["clip_r"].values() for hit in names.values()]
    figures["clip_r"] = Figures(sum(hits) / len(hits))
    parts = dict(zip(places, np.array_split(references, 3)))
    figures["fid"] = Fid(None).figures(
        {
            style: Seen(tuple(images["hist"][style]), candidates.stems[choice.rows[cells]], {"features": parts[style]})
            for style, cells in places.items()
        },
        {},
    )
    expected = asdict(figures_to_scores(figures))
    assert asdict(choice.scores) == pytest.approx(expected, rel=1e-12)
    assert choice.scores.fid == expected["fid"]


def test_among_equals_the_first_is_taken_and_the_choice_comes_again():
    candidates, _ = make(3)
    first = np.flatnonzero(candidates.way == 0)
    for key in KEYS:
        candidates.values[key][:] = np.repeat(candidates.values[key][first], 3)
    candidates.stems[:] = np.repeat(candidates.stems[first], 3, axis=0)
    np.testing.assert_array_equal(choose(candidates).rows, first)
    candidates, _ = make(4)
    np.testing.assert_array_equal(choose(candidates).rows, choose(candidates).rows)


def test_one_candidate_each():
    candidates, references = make(5, ways=1)
    choice = choose(candidates)
    assert choice.rows.tolist() == [0, 1, 2, 3, 4, 5]
    assert choice.scores == choice.plain
    assert choice.scores.final == pytest.approx(final_by_hand(candidates, choice.rows, references), abs=1e-7)


def test_cells_may_have_unequally_many():
    whole, references = make(6)
    kept = np.array([0, 1, 2, 4, 7, 8, 9, 10, 11, 12, 14, 15])  # cell 1 has one way, the middle one
    candidates = type(whole)(
        whole.styles,
        whole.style,
        whole.names,
        whole.cell[kept],
        whole.way[kept],
        {key: column[kept] for key, column in whole.values.items()},
        whole.stems[kept],
        whole.real,
    )
    choice = choose(candidates)
    best = max(final_by_hand(candidates, rows, references) for rows in every_choice(candidates))
    assert final_by_hand(candidates, choice.rows, references) == pytest.approx(best, abs=1e-12)
    constants = [[0, 3, 4, 6, 9, 11], [1, 3, 4, 7, 9, 11], [2, 3, 5, 8, 10, 11]]
    finals = [final_by_hand(candidates, np.array(rows), references) for rows in constants]
    assert choice.plain.final == pytest.approx(max(finals), abs=1e-7)
