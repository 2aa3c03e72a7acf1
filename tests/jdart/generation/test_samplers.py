"""Every step of every sampler, against diffusers."""

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    PNDMScheduler,
    UniPCMultistepScheduler,
)

from jdart.generation.samplers import SAMPLERS, sampling_plan
from jdart.models.schedule import NoiseSchedule
from submission.errors import UserError

SD21 = {
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "clip_sample": False,
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "trained_betas": None,
}
REFERENCES = {
    "ddim": DDIMScheduler,
    "pndm": PNDMScheduler,
    "dpmpp_2m": DPMSolverMultistepScheduler,
    "unipc": UniPCMultistepScheduler,
    "euler": EulerDiscreteScheduler,
}
SHAPE = (2, 4, 6, 6)


def model(x, t):
    """A smooth stand-in for the network that mixes neighbouring pixels and heeds the timestep."""
    t = np.float32(t) / 1000
    mixed = 0.6 * x + 0.3 * np.roll(x, 1, axis=-1) - 0.1 * np.roll(x, 1, axis=1)
    return (np.sin(mixed + 2 * t) * (0.5 + t) + 0.2 * np.cos(5 * t)).astype(np.float32)


def draws():
    rng = np.random.default_rng(7)
    return rng.standard_normal(SHAPE).astype(np.float32), 0.8 * rng.standard_normal(SHAPE).astype(np.float32)


def reference(name, config, steps, strength, noise, x0):
    """Start, timesteps and trajectory as StableDiffusion(Img2Img)Pipeline drives the scheduler."""
    scheduler = REFERENCES[name].from_config(config)
    scheduler.set_timesteps(steps)
    skipped = 0 if strength is None else steps - min(int(steps * strength), steps)
    timesteps = scheduler.timesteps[skipped * scheduler.order :]
    if strength is None:
        x = torch.from_numpy(noise) * scheduler.init_noise_sigma
    else:
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(skipped * scheduler.order)
        x = scheduler.add_noise(torch.from_numpy(x0), torch.from_numpy(noise), timesteps[:1].repeat(len(x0)))

    def variance_preserving(x, i):
        """Diffusers' Euler keeps x / alpha, ours x."""
        return x / (scheduler.sigmas[skipped + i] ** 2 + 1) ** 0.5 if name == "euler" else x

    trajectory = [variance_preserving(x, 0).numpy()]
    for i, t in enumerate(timesteps):
        output = torch.from_numpy(model(scheduler.scale_model_input(x, t).numpy(), t.item()))
        x = scheduler.step(output, t, x).prev_sample
        trajectory.append(variance_preserving(x, i + 1).numpy())
    return timesteps.tolist(), trajectory


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("spacing", ["leading", "trailing", None])
@pytest.mark.parametrize("strength", [None, 0.9])
@pytest.mark.parametrize("steps", [5, 20, 25, 40])
def test_trajectory_is_that_of_diffusers(name, prediction, spacing, strength, steps, record_property):
    config = {**SD21, "prediction_type": prediction}
    if spacing is not None:
        config["timestep_spacing"] = spacing
    noise, x0 = draws()
    timesteps, expected = reference(name, config, steps, strength, noise, x0)
    plan = sampling_plan(NoiseSchedule.from_config(config), name, steps, strength)
    np.testing.assert_allclose(plan.timesteps[plan.first :], timesteps, rtol=1e-6)
    start = plan.start(noise, None if strength is None else x0)
    found = [start, *plan.run(model, start)]
    assert len(found) == len(expected) == plan.calls + 1
    record_property("error", max(float(np.abs(a - b).max()) for a, b in zip(found, expected)))
    for ours, theirs in zip(found, expected):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


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
        (("ddim", 0), "1 to 999"),
        (("ddim", 1000), "1 to 999"),
        (("ddim", 20, 0.0), "0.05 to 1"),
        (("ddim", 20, 0.04), "0.05 to 1"),
        (("ddim", 20, 1.1), "0.05 to 1"),
        (("ddim", 20, float("nan")), "0.05 to 1"),
    ],
)
def test_settings_out_of_range_are_refused(arguments, words):
    with pytest.raises(UserError, match=words):
        sampling_plan(NoiseSchedule.from_config(SD21), *arguments)
