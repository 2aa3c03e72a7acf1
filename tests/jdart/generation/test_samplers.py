"""Plans and their limits; test_samplers_matrix.py has every sampler's steps against diffusers."""

import numpy as np
import pytest
from driving_diffusers import SD21, model
from driving_diffusers import draws as draws_of

from contest.errors import UserError
from jdart.config import GenerateConfig
from jdart.generation.samplers import SAMPLERS, sampling_plan
from jdart.models.schedule import NoiseSchedule


def draws():
    return draws_of((2, 4, 6, 6))


def test_spacing_may_be_silent_but_not_wrong():
    schedule = NoiseSchedule.from_config({**SD21, "timestep_spacing": "leading"})
    assert sampling_plan(schedule, "ddim", 4).timesteps == (751, 501, 251, 1)
    assert sampling_plan(schedule, "pndm", 4).timesteps == (751, 501, 501, 251, 1)
    assert sampling_plan(schedule, "pndm", 1).timesteps == (1,)
    assert sampling_plan(schedule, "unipc", 4).timesteps == (801, 601, 401, 201)


@pytest.mark.parametrize("name", ["ddim", "dpmpp_2m", "unipc", "euler"])
def test_forty_steps_at_strength_nine_tenths_are_thirty_six_calls(name):
    plan = sampling_plan(NoiseSchedule.from_config(SD21), name, 40, 0.9)
    noise, x0 = draws()
    asked = []

    def counting(x, t):
        asked.append(t)
        return model(x, t)

    list(plan.run(counting, plan.start(noise, x0)))
    assert plan.calls == len(asked) == 36
    assert tuple(asked) == plan.timesteps[4:]


@pytest.mark.parametrize("name", SAMPLERS)
def test_settings_know_how_often_the_network_is_called(name):
    schedule = NoiseSchedule.from_config(SD21)
    for steps, strength in ((1, None), (9, None), (9, 0.5), (20, 0.85), (20, 1.0)):
        plan = sampling_plan(schedule, name, steps, strength)
        assert GenerateConfig(sampler=name, steps=steps, strength=strength).calls == plan.calls


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_perfect_model_recovers_the_picture(name):
    """With the true noise as output every sampler must land on x0, whatever diffusers does."""
    schedule = NoiseSchedule.from_config({**SD21, "prediction_type": "epsilon", "set_alpha_to_one": True})
    noise, x0 = draws()
    plan = sampling_plan(schedule, name, 20, 1.0)
    *_, x = plan.run(lambda x, t: noise, plan.start(noise, x0))
    np.testing.assert_allclose(x, x0, atol=1e-4)


def test_starting_part_way_needs_an_image():
    plan = sampling_plan(NoiseSchedule.from_config(SD21), "ddim", 40, 0.9)
    with pytest.raises(ValueError, match="pass x0"):
        plan.start(draws()[0])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("heun", 20), "known: ddim, pndm, dpmpp_2m, unipc, euler"),
        (("ddim", 0), "1 to 1000"),
        (("ddim", 1001), "1 to 1000"),
        (("ddim", 20, 0.0), "0.05 to 1"),
        (("ddim", 20, 0.04), "0.05 to 1"),
        (("ddim", 20, 1.1), "0.05 to 1"),
        (("ddim", 20, float("nan")), "0.05 to 1"),
    ],
)
def test_settings_out_of_range_are_refused(arguments, words):
    with pytest.raises(UserError, match=words):
        sampling_plan(NoiseSchedule.from_config(SD21), *arguments)
