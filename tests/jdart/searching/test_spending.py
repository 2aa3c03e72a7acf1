"""What a budget is spent on."""

import numpy as np
import pytest
from scipy import integrate, stats

from contest.errors import UserError
from jdart.searching.spending import Budget, Outlook, expected_best, next_candidates, read_budget


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("8", Budget(candidates=8)),
        ("2h", Budget(seconds=7200)),
        ("1.5h", Budget(seconds=5400)),
        ("90m", Budget(seconds=5400)),
        ("90 min", Budget(seconds=5400)),
        ("30s", Budget(seconds=30)),
    ],
)
def test_a_budget_is_candidates_or_time(text, budget):
    assert read_budget(text) == budget


@pytest.mark.parametrize("text", ["", "two", "0", "0h", "1.5", "-3", "3 days", "8x"])
def test_what_is_no_budget_is_refused_in_a_line(text):
    with pytest.raises(UserError, match="--budget") as caught:
        read_budget(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("count", [2, 4, 8, 16])
def test_the_best_of_some_normals(count):
    def density(x):
        return x * count * stats.norm.pdf(x) * stats.norm.cdf(x) ** (count - 1)

    exact, _ = integrate.quad(density, -10, 10)
    assert expected_best(count) == pytest.approx(exact, abs=0.03)
    assert expected_best(1) == 0


def spent_on(outlooks, budget, at_once=4, pace=1.0):
    """Candidates tried of each style when all is spent, in the order in which it was."""
    order, spent = [], 0.0
    outlooks = dict(outlooks)
    while (following := next_candidates(outlooks, budget, spent, at_once)) is not None:
        style, count = following
        own = outlooks[style]
        seconds = pace if own.seconds is None else own.seconds
        spent += seconds * count
        outlooks[style] = Outlook(own.prompts, own.tried + count, own.deviation, seconds)
        order.append(style)
        assert count >= 1 and len(order) < 100
    return order, {style: outlook.tried for style, outlook in outlooks.items()}, spent


def test_every_style_comes_first_once_and_then_the_one_that_gains_most():
    outlooks = {"a": Outlook(25, 0, 0.01, None), "b": Outlook(25, 0, 0.03, None), "c": Outlook(25, 0, 0.02, None)}
    order, tried, _ = spent_on(outlooks, Budget(candidates=8))
    assert order[:3] == ["a", "b", "c"]
    assert sum(tried.values()) == 24, "all of it, and no more"
    assert tried["b"] > tried["c"] >= tried["a"] == 4


def test_equal_styles_get_equal_shares():
    outlooks = {style: Outlook(10, 0, 0.02, None) for style in "abc"}
    _, tried, _ = spent_on(outlooks, Budget(candidates=8))
    assert set(tried.values()) == {8}


def test_a_slow_style_must_gain_more():
    outlooks = {"slow": Outlook(25, 4, 0.02, 10.0), "quick": Outlook(25, 4, 0.02, 1.0)}
    assert next_candidates(outlooks, Budget(candidates=8), 0.0, 4) == ("quick", 4)


def test_styles_with_more_prompts_cost_more_of_a_budget():
    outlooks = {"many": Outlook(30, 0, 0.0, None), "few": Outlook(10, 0, 0.0, None)}
    _, tried, _ = spent_on(outlooks, Budget(candidates=6))
    assert 30 * tried["many"] + 10 * tried["few"] <= 6 * 40
    assert min(tried.values()) >= 1


def test_the_last_round_is_as_large_as_the_rest_of_the_budget():
    _, tried, _ = spent_on({"a": Outlook(5, 0, 0.1, None)}, Budget(candidates=6))
    assert tried == {"a": 6}


def test_a_budget_of_one_candidate_leaves_no_style_out():
    _, tried, _ = spent_on({style: Outlook(5, 0, 0.1, None) for style in "ab"}, Budget(candidates=1))
    assert tried == {"a": 1, "b": 1}


def test_time_is_not_overspent_by_a_round_that_would_not_fit():
    outlooks = {style: Outlook(25, 0, 0.02, None) for style in "ab"}
    _, tried, spent = spent_on(outlooks, Budget(seconds=100), pace=3.0)
    assert 97 < spent <= 100
    assert np.ptp(list(tried.values())) <= 4


def test_a_style_that_is_being_drawn_waits():
    outlooks = {style: Outlook(25, 4, 0.02, 1.0) for style in "ab"}
    assert next_candidates(outlooks, Budget(candidates=8), 0.0, 4, busy=["a"])[0] == "b"
    assert next_candidates(outlooks, Budget(candidates=8), 0.0, 4, busy=["a", "b"]) is None
