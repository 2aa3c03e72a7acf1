"""What may be chosen from: entries pooled, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from made_candidates import KEYS, make

from contest.errors import UserError
from evaluator.analysis.cells import Cells
from jdart.searching.candidates import pool

STYLE = np.array([0, 0, 1])
NAMES = ("cat.png", "owl.png", "cat.png")


def entry(seed, rows=(0, 1, 2), styles=("00", "01")):
    random = np.random.default_rng(seed)
    rows = list(rows)
    return Cells(
        styles=styles,
        style=STYLE[rows],
        names=tuple(NAMES[row] for row in rows),
        values={key: random.random(3)[rows] for key in KEYS},
        fid=1.0,
        stems=random.random((3, 4))[rows],
        real=(np.zeros(4), np.eye(4)),
    )


def test_entries_are_pooled_cell_by_cell():
    entries = [entry(0), entry(1, rows=(0, 1), styles=("00",)), entry(2)]
    candidates = pool(entries)
    assert candidates.styles == ("00", "01")
    assert candidates.names == NAMES
    assert candidates.style.tolist() == [0, 0, 1]
    assert candidates.cell.tolist() == [0, 0, 0, 1, 1, 1, 2, 2]
    assert candidates.way.tolist() == [0, 1, 2, 0, 1, 2, 0, 2]
    for row, (cell, way) in enumerate(zip(candidates.cell, candidates.way)):
        for key in KEYS:
            assert candidates.values[key][row] == entries[way].values[key][cell]
        np.testing.assert_array_equal(candidates.stems[row], entries[way].stems[cell])


def test_an_entry_is_chosen_back_out_of_a_pool():
    first, second = entry(0), entry(1)
    back = pool([first, second]).chosen(np.array([1, 3, 5]))
    assert (back.styles, back.names) == (second.styles, second.names)
    np.testing.assert_array_equal(back.stems, second.stems)
    for key in KEYS:
        np.testing.assert_array_equal(back.values[key], second.values[key])


def test_what_cannot_be_pooled():
    with pytest.raises(UserError, match="score the entries again"):
        pool([entry(0), replace(entry(1), stems=None)])
    with pytest.raises(UserError, match="score all with the same"):
        pool([entry(0), replace(entry(1), real=(np.ones(4), np.eye(4)))])


def test_what_cannot_be_chosen_from():
    with pytest.raises(UserError, match="two prompts or more"):
        make(0, sizes=(1,))
    candidates, _ = make(0)
    values = {**candidates.values, "hist": candidates.values["hist"].copy()}
    values["hist"][13] = np.nan
    with pytest.raises(UserError, match=r"^b/4\.png: a candidate has a figure that is no finite number"):
        replace(candidates, values=values)
    with pytest.raises(ValueError, match="ascending order"):
        replace(candidates, cell=candidates.cell[::-1])
    with pytest.raises(ValueError, match="every cell has one"):
        replace(candidates, cell=np.where(candidates.cell == 2, 3, candidates.cell))
    with pytest.raises(ValueError, match="every style has a cell"):
        replace(candidates, styles=("a", "b", "c"))
