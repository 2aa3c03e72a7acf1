"""Every sampler on every schedule that a base may bring, step by step against diffusers.

Where jdart departs (jdart/generation/samplers.py says where and why) it is held against diffusers' own step under the
mended list or stride; everywhere else against diffusers as it is.
"""

import itertools

import numpy as np
import pytest
from driving_diffusers import SD21, Driver, draws, model

from contest.errors import UserError
from jdart.generation.samplers import SAMPLERS, sampling_plan
from jdart.models.schedule import NoiseSchedule

SPACINGS = ("leading", "trailing", "linspace")
PREDICTIONS = ("epsilon", "v_prediction")
OFFSETS = (0, 1, None, 3, 7)  # None: absent
STRENGTHS = (None, 1.0, 0.5, 0.05)
FEW, MORE = (1, 2, 3, 5), (7, 20, 25, 28, 30, 40, 50, 61)
NOISE, X0 = draws((1, 1, 2, 2))
TOLERANCE = 1e-5  # of the largest value; 2e-6 is met


def config_of(**settings):
    """SD 2.1's scheduler with other settings; None leaves one out."""
    return {key: value for key, value in {**SD21, **settings}.items() if value is not None}


def compare(name, config, steps, strength=None, tolerance=TOLERANCE):
    """Assert that the trajectory is diffusers'; say where it is that of diffusers mended."""
    driver = Driver(name, config, steps)
    timesteps, expected = driver.run(model, strength, NOISE, X0)
    plan = sampling_plan(NoiseSchedule.from_config(config), name, steps, strength)
    np.testing.assert_allclose(plan.timesteps[plan.first :], timesteps, rtol=1e-6)
    start = plan.start(NOISE, None if strength is None else X0)
    found = [start, *plan.run(model, start)]
    assert len(found) == len(expected) == plan.calls + 1
    for ours, theirs in zip(found, expected):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * max(1, np.abs(theirs).max()))
    return driver.departs


def cells(name, spacing, steps):
    """Config and strength of every combination that can differ: only "leading" heeds the offset."""
    for offset, prediction, to_one, strength in itertools.product(
        OFFSETS if spacing == "leading" else OFFSETS[:1],
        PREDICTIONS,
        (False, True, None) if name in ("ddim", "pndm") else (False,),
        STRENGTHS,
    ):
        if strength is None or int(steps * strength) >= 1:
            settings = {"steps_offset": offset, "prediction_type": prediction, "set_alpha_to_one": to_one}
            yield config_of(timestep_spacing=spacing, **settings), strength


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("steps", FEW)
def test_few_steps_in_every_combination(name, spacing, steps):
    for config, strength in cells(name, spacing, steps):
        compare(name, config, steps, strength)


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("steps", MORE)
def test_more_steps_in_some_combinations(name, spacing, steps):
    """Every 13th: 13 shares no factor with the numbers of values, so that each value meets each number of steps."""
    every = list(cells(name, spacing, steps))
    for config, strength in every[steps % 13 :: 13]:
        compare(name, config, steps, strength)


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("spacing", SPACINGS)
def test_more_steps_in_every_combination(name, spacing):
    for steps in MORE:
        for config, strength in cells(name, spacing, steps):
            compare(name, config, steps, strength)


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("spacing", SPACINGS)
def test_as_many_steps_as_go(name, spacing):
    config = config_of(timestep_spacing=spacing, steps_offset=0, prediction_type="v_prediction")
    compare(name, config, 999, 0.5, tolerance=1e-4)
    if name in ("dpmpp_2m", "unipc") and spacing != "trailing":  # 1001 places for 1000 timesteps
        with pytest.raises(UserError, match=r"steps = 1000 does not fit .*; take 999$"):
            sampling_plan(NoiseSchedule.from_config(config), name, 1000)
    else:
        compare(name, config, 1000, tolerance=1e-4)


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("kind", ["linear", "scaled_linear"])
@pytest.mark.parametrize("count", [100, 500, 4000])
def test_other_schedules(name, spacing, kind, count):
    betas = {"beta_schedule": kind, "num_train_timesteps": count}
    betas.update({key: SD21[key] * 1000 / count for key in ("beta_start", "beta_end")})  # as much noise in the end
    for steps, prediction, strength in ((3, "epsilon", None), (30, "v_prediction", 0.5)):
        config = config_of(timestep_spacing=spacing, prediction_type=prediction, steps_offset=0, **betas)
        compare(name, config, steps, strength, tolerance=1e-4)


@pytest.mark.parametrize("name", SAMPLERS)
def test_what_a_config_leaves_out_is_as_in_diffusers(name):
    """All but the two that its Stable Diffusion pipelines set whatever the base says."""
    bare = {"clip_sample": False, "skip_prk_steps": True}
    for steps in (1, 2, 7, 28):
        compare(name, bare, steps)
        compare(name, config_of(steps_offset=None, set_alpha_to_one=None), steps, 1.0)


# Where jdart departs: the places, and that they are no others


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_timestep_below_0_is_there_for_62_numbers_of_steps(name):
    config = config_of(timestep_spacing="trailing")
    numbers = [n for n in range(1, 1000) if Driver(name, config, n).departs == "the timestep below 0"]
    assert len(numbers) == 62
    assert numbers[:5] == [61, 103, 121, 122, 201]
    schedule = NoiseSchedule.from_config(config)
    for steps in numbers:
        assert min(sampling_plan(schedule, name, steps).timesteps) >= 0
        assert len(set(sampling_plan(schedule, name, steps).timesteps)) == steps


@pytest.mark.parametrize("name", ["ddim", "pndm"])
def test_the_stride_is_the_next_timestep_where_said(name):
    for steps in range(1, 1001):
        departs = {
            spacing: Driver(name, config_of(timestep_spacing=spacing, steps_offset=0), steps).departs == "the stride"
            for spacing in SPACINGS
        }
        assert not departs["leading"]
        assert departs["linspace"] == (steps not in (1, 1000))
        assert not (departs["trailing"] and 1000 % steps == 0)
    assert not Driver(name, config_of(steps_offset=49), 20).departs
    assert Driver(name, config_of(steps_offset=50), 20).departs == "the stride"


@pytest.mark.parametrize("name", ["dpmpp_2m", "unipc", "euler"])
def test_the_others_heed_no_stride(name):
    for steps, spacing in itertools.product((*FEW, *MORE), SPACINGS):
        assert Driver(name, config_of(timestep_spacing=spacing), steps).departs in ("", "the timestep below 0")


@pytest.mark.parametrize(("name", "spacing", "steps"), [("ddim", "linspace", 20), ("pndm", "trailing", 28)])
def test_diffusers_stride_leads_elsewhere(name, spacing, steps):
    """Without the mending the difference is no rounding error: what is departed from is really there."""
    config = config_of(timestep_spacing=spacing)
    driver = Driver(name, config, steps)
    assert driver.departs == "the stride"
    driver.departs = ""
    _, unmended = driver.run(model, None, NOISE, X0)
    plan = sampling_plan(NoiseSchedule.from_config(config), name, steps)
    *_, x = plan.run(model, plan.start(NOISE))
    assert np.abs(x - unmended[-1]).max() > 1e-2


@pytest.mark.parametrize(
    ("name", "settings", "steps", "words"),
    [
        ("ddim", {}, 1001, "out of range; take 1 to 1000"),
        ("euler", {"num_train_timesteps": 100}, 101, "out of range; take 1 to 100"),
        ("ddim", {"timestep_spacing": "leading"}, 1000, "does not fit .* leading and steps_offset 1; take 999"),
        ("pndm", {"timestep_spacing": "leading", "steps_offset": 3}, 500, "take 499"),
        ("dpmpp_2m", {"timestep_spacing": "leading"}, 999, "take 998"),
        ("unipc", {"timestep_spacing": "linspace"}, 1000, "take 999"),
        ("dpmpp_2m", {"timestep_spacing": "leading", "steps_offset": 900}, 1, "take another sampler or base"),
    ],
)
def test_steps_that_do_not_fit_are_refused_in_a_line(name, settings, steps, words):
    with pytest.raises(UserError, match=words) as caught:
        sampling_plan(NoiseSchedule.from_config(config_of(**settings)), name, steps)
    assert "\n" not in str(caught.value)
