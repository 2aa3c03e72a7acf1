"""The file of a sweep: what comes along is good, what is wrong is said all at once."""

import pytest
import yaml

from contest.errors import UserError
from jdart.config import load_config
from jdart.config.derived import short_names
from jdart.config.idle import contrary_settings, idle_settings
from jdart.sweeping.space import told
from jdart.sweeping.sweep import load_sweep, shipped_sweeps

RATE = {"train.learning_rate": {"low": 1.0e-4, "high": 1.0e-3, "log": True}}

ZERO = {"choices": [0, 4]}


def write(path, space, **more):
    path.write_text(yaml.safe_dump({"space": space, **more}, sort_keys=False))
    return str(path)


def test_what_comes_along_is_good():
    assert "toy" in shipped_sweeps()
    for name in shipped_sweeps():
        plan = load_sweep(name)
        assert (idle_settings(plan.plain), contrary_settings(plan.plain)) == ([], [])
        assert plan.base_values() is not None, "its first trial is what the configuration says"


def test_a_trial_is_the_base_and_its_values(tmp_path):
    path = write(tmp_path / "s.yaml", RATE, set={"generate.start": None}, base="demo", trials=3)
    plan = load_sweep(path, ["lora.r=8"], str(tmp_path / "out"), styles=["01"])
    mapping = plan.mapping({"train.learning_rate": 5e-4, "generate.start": {"leak": "dct"}}, "trial 2", "0002")
    (tmp_path / "one.yaml").write_text(yaml.safe_dump(mapping))
    one = load_config(str(tmp_path / "one.yaml"))
    assert (one.train.learning_rate, one.lora.r, one.generate.start.leak) == (5e-4, 8, "dct")
    assert (one.styles, one.name, one.output) == (("01",), "trial 2", str(tmp_path / "out" / "trials" / "0002"))
    again = load_config(str(tmp_path / "one.yaml"), ["generate.start=null"], name="base", output=plan.plain.output)
    assert again.generate == plan.plain.generate
    assert load_sweep(path, trials=7).sweep.trials == 7


def test_the_settings_type_is_the_parameters(tmp_path):
    space = {"lora.r": {"low": 2, "high": 8, "step": 2}, "generate.guidance_scale": {"low": 1, "high": 6}}
    rank, scale = load_sweep(write(tmp_path / "s.yaml", space)).axes
    assert (rank.whole, scale.whole) == (True, False)
    assert [value for value in range(10) if rank.holds(value)] == [2, 4, 6, 8]
    assert scale.holds(3.7) and not scale.holds(6.1) and not scale.holds(None) and not scale.holds(True)


def test_binary_fractions_are_no_trouble(tmp_path):
    space = {"generate.strength": {"low": 0.65, "high": 0.95, "step": 0.05}}
    (axis,) = load_sweep(write(tmp_path / "s.yaml", space)).axes
    assert axis.holds(0.85) and axis.holds(0.8) and not axis.holds(0.83)


@pytest.mark.parametrize(
    ("space", "own"),
    [
        (RATE, {"train.learning_rate": 1e-3}),
        ({"train.learning_rate": {"low": 1e-5, "high": 1e-4}}, None),
        ({"generate.strength": {"choices": [None, 0.85]}}, {"generate.strength": 0.85}),
        ({"generate.start": {"choices": [{"leak": "dct"}, None]}}, {"generate.start": None}),
        ({"lora.target_modules": {"choices": [["to_q"], ["to_k"]]}}, None),
    ],
)
def test_what_the_configuration_has_of_its_own(space, own, tmp_path):
    assert load_sweep(write(tmp_path / "s.yaml", space)).base_values() == own


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ({}, ["space: name at least one setting"]),
        (
            {
                "lora.x": {"low": 1, "high": 2},
                "generate.strength": {"low": 0.5, "high": 2},
                "lora.r": {"choices": [0, 4]},
            },
            [
                "lora.x: unknown setting",
                "space.generate.strength: generate.strength: 2.0",
                "space.lora.r: lora.r: 0 is",
            ],
        ),
        ({"lora.r": {"low": 1.5, "high": 3}}, ["space.lora.r: lora.r: 1.5 is not a whole number"]),
        ({"lora.r": {"low": 1, "high": 3, "step": 0.5}}, ["space.lora.r.step: 0.5 is not a whole number"]),
        ({"lora.r": {"low": 2, "high": 9, "step": 2}}, ["space.lora.r.high: no step of 2 ends there; take 8"]),
        (
            {"lora.r": {"low": "1e-4", "high": 2}, "train.steps": {"low": 9, "high": 9}},
            ["space.lora.r.low: '1e-4' is not a number; YAML takes 1.0e-4", "space.train.steps.high: 9 is not above"],
        ),
        ({"lora.r": {"low": 0, "high": 2, "log": True}}, ["space.lora.r.low: 0 is not above 0"]),
        ({"lora.r": {"low": 1, "high": 2, "log": True, "step": 1}}, ["space.lora.r.step: does not go with log"]),
        ({"lora.r": {"low": True, "high": 2}}, ["space.lora.r.low: True is not a number"]),
        ({"lora.r": {"low": 1}}, ["space.lora.r.low, high: give both, or choices"]),
        ({"lora.r": {"low": 1, "high": 2, "choices": [1, 2]}}, ["space.lora.r.choices: take the place of low"]),
        ({"lora.r": {"choices": [4]}}, ["space.lora.r.choices: [4]; list two or more"]),
        ({"lora.r": {"choices": [4, 8, 4]}}, ["space.lora.r.choices: 4 is there twice"]),
        ({"lora.r": {"chioces": [4, 8]}}, ["space.lora.r.chioces: unknown setting"]),
        ({"lora.r": [4, 8]}, ["space.lora.r: must be a section"]),
        ({"generate.sampler": {"low": 1, "high": 2}}, ["generate.sampler: 1 is not text"]),
        ({"generate.batch_size": {"low": 1, "high": 2}}, ["space.generate.batch_size: changes nothing"]),
        ({"base.model": {"choices": ["a", "b"]}}, ["space: base.model is not for a sweep to vary"]),
        ({"seed": {"low": 1, "high": 2}}, ["space: seed is not for a sweep to vary"]),
        (
            {"generate.start": {"choices": [None, {}]}, "generate.start.mean": {"low": 0.0, "high": 1.0}},
            ["space: generate.start.mean lies inside generate.start"],
        ),
        ({"train..steps": {"low": 1, "high": 2}}, ["space.train..steps", "write the setting as section.key"]),
    ],
)
def test_problems(space, words, tmp_path):
    path = write(tmp_path / "s.yaml", space)
    with pytest.raises(UserError) as caught:
        load_sweep(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"trials": 0}, "trials: 0 is below 1"),
        ({"seed": -1}, "seed: -1 is below 0"),
        ({"prune": {"p_threshold": 1}}, "prune.p_threshold: 1.0 is not between"),
        ({"prune": {"n_startup_steps": 1}}, "prune.n_startup_steps: 1 is below 2"),
        ({"set": {"output": "x"}}, "set: output is each run's own"),
        ({"base": "nowhere"}, "nowhere: no such configuration"),
        ({"trails": 3}, "trails: unknown setting; known here: base, output, set, trials, seed, prune, space"),
    ],
)
def test_problems_beside_the_space(more, words, tmp_path):
    with pytest.raises(UserError, match=words.replace("(", r"\(")):
        load_sweep(write(tmp_path / "s.yaml", RATE, **more))


def test_options(tmp_path):
    with pytest.raises(UserError, match="no such sweep; those that come along: toy"):
        load_sweep("nothing")
    path = write(tmp_path / "s.yaml", RATE)
    with pytest.raises(UserError, match="--trials 0: take 1 or more"):
        load_sweep(path, trials=0)
    with pytest.raises(UserError, match="--output: must not be empty"):
        load_sweep(path, output="")


def test_words():
    keys = ["train.learning_rate", "lora.r", "train.composition.steps", "generate.steps"]
    assert list(short_names(keys).values()) == ["learning_rate", "lora.r", "composition.steps", "generate.steps"]
    assert [told(label) for label in (0.00012345678, None, True, 4, "x")] == ["0.0001235", "null", "true", "4", "x"]
