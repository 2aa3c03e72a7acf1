"""What a search's candidates change."""

from collections import Counter

import pytest

from contest.errors import UserError
from jdart.config import Config, GenerateConfig, SearchConfig, from_mapping
from jdart.config.vary import changes_of, require_variable, varied

STRENGTHS, SCALES = [0.7, 0.8, 0.9, None], [2.0, 3.0, 5.0]
VARY = {"generate.strength": STRENGTHS, "generate.guidance_scale": SCALES}


def config(**changes):
    return from_mapping({"search": {"vary": VARY}, **changes})


def test_the_first_candidate_is_the_configuration_itself():
    assert changes_of(config(), 0) == {}
    assert changes_of(Config(), 5) == {}
    assert varied(GenerateConfig(), {}) == GenerateConfig()


def test_each_value_comes_once_in_every_turn():
    changes = [changes_of(config(), number) for number in range(1, 25)]
    for key, values in VARY.items():
        for turn in range(0, 24, len(values)):
            own = Counter(each[key] for each in changes[turn : turn + len(values)])
            assert own == Counter(values)
    pairs = {tuple(each.values()) for each in changes}
    assert len(pairs) > 8, "not in step with each other"
    assert changes == [changes_of(config(), number) for number in range(1, 25)]
    assert changes != [changes_of(config(seed=1), number) for number in range(1, 25)]


def test_a_change_may_reach_into_a_section_that_is_not_there():
    settings = varied(GenerateConfig(), {"generate.colour.guidance.balance": 0.5, "generate.strength": 0.7})
    assert settings.colour.guidance.balance == 0.5
    assert settings.strength == 0.7


@pytest.mark.parametrize(
    ("vary", "word"),
    [
        ({"generate.strenght": [0.8]}, "strenght: unknown setting"),
        ({"generate.strength": [0.8, 2.0]}, "strength: 2.0"),
        ({"generate.style_aligned": [{}], "generate.style_prompting": [{}]}, "both change the same attentions"),
        ({"generate.style_blend": [{}]}, "needs train.composition"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_drawn(vary, word):
    with pytest.raises(UserError, match=word):
        require_variable(from_mapping({"search": {"vary": vary}}))


@pytest.mark.parametrize(
    ("search", "word"),
    [
        ({"vary": {"train.steps": [100]}}, "train.steps is no setting of a candidate"),
        ({"vary": {"generate.batch_size": [1, 2]}}, "generate.batch_size is no setting of a candidate"),
        ({"vary": {"generate.strength": 0.8}}, "list what is tried"),
        ({"vary": {"generate.strength": []}}, "list what is tried"),
        ({"candidates": 1}, "take 2 or more"),
        ({"round": 0}, "round"),
        ({"prune": {"at": 1.0}}, "at: 1.0 is not between"),
        ({"budget": 3}, "unknown setting"),
    ],
)
def test_a_section_that_cannot_be_is_refused(search, word):
    with pytest.raises(UserError, match=word):
        from_mapping({"search": search})


def test_without_values_only_seeds_vary():
    assert changes_of(Config(search=SearchConfig()), 7) == {}
