"""rescale_betas_zero_snr with trailing timesteps, in training and drawing, against diffusers."""

import diffusers
import numpy as np
import pytest
import torch
from diffusers.training_utils import compute_snr

from contest.errors import UserError
from jdart.exporting.scheduler import CLASSES, scheduler_config
from jdart.generation.attention.inversion import invert
from jdart.generation.samplers import sampling_plan
from jdart.models.schedule import NoiseSchedule

RAW = {
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "num_train_timesteps": 1000,
    "prediction_type": "v_prediction",
    "set_alpha_to_one": True,
    "steps_offset": 1,
    "timestep_spacing": "trailing",
    "rescale_betas_zero_snr": True,
}


def network(x, t):
    return x * 0.3 + float(np.sin(float(t) / 50))


def theirs(sampler, steps, x):
    """Where diffusers' scheduler gets, in its own numbers, from noise `x`."""
    scheduler = getattr(diffusers, CLASSES[sampler]).from_config(scheduler_config(RAW, sampler))
    scheduler.set_timesteps(steps)
    x = torch.from_numpy(x) * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        x = scheduler.step(network(scheduler.scale_model_input(x, t), t), t, x).prev_sample
    return scheduler, x.numpy()


@pytest.mark.parametrize("steps", [4, 20])
@pytest.mark.parametrize("sampler", ["ddim", "dpmpp_2m", "unipc", "euler"])
def test_pictures_are_drawn_from_noise_alone_as_by_diffusers(sampler, steps):
    noise = np.random.default_rng(0).standard_normal((2, 4, 3, 3)).astype(np.float32)
    plan = sampling_plan(NoiseSchedule.from_config(RAW), sampler, steps)
    scheduler, end = theirs(sampler, steps, noise)
    assert plan.timesteps[0] == 999 and list(plan.timesteps) == scheduler.timesteps.tolist()
    *_, x = plan.run(network, plan.start(noise))
    np.testing.assert_allclose(x, end, atol=2e-4)


def test_pndm_reaches_a_picture_too():
    plan = sampling_plan(NoiseSchedule.from_config(RAW), "pndm", 10)
    *_, x = plan.run(network, np.ones((1, 4, 2, 2), np.float32))
    assert np.isfinite(x).all()
    assert "rescale_betas_zero_snr" not in scheduler_config(RAW, "pndm")


def test_training_sees_what_diffusers_computes():
    ours, scheduler = NoiseSchedule.from_config(RAW), diffusers.DDIMScheduler.from_config(RAW)
    np.testing.assert_allclose(ours.alphas_cumprod, scheduler.alphas_cumprod.numpy(), rtol=2e-5, atol=1e-9)
    assert ours.alphas_cumprod[-1] == 0
    t = np.array([0, 998, 999])
    x0, noise = np.random.default_rng(1).standard_normal((2, 3, 4, 2, 2)).astype(np.float32)
    tensors = torch.from_numpy(x0), torch.from_numpy(noise), torch.from_numpy(t)
    np.testing.assert_allclose(ours.add_noise(x0, noise, t), scheduler.add_noise(*tensors).numpy(), atol=1e-6)
    np.testing.assert_allclose(ours.target(x0, noise, t), scheduler.get_velocity(*tensors).numpy(), atol=1e-6)
    x_t = ours.add_noise(x0, noise, t)
    np.testing.assert_allclose(ours.predict_x0_eps(ours.target(x0, noise, t), x_t, t)[0], x0, atol=1e-5)
    np.testing.assert_array_equal(ours.add_noise(x0, noise, t)[2], noise[2])
    snr = compute_snr(scheduler, torch.from_numpy(t))
    weights = (torch.clamp(snr, max=5.0) / (snr + 1)).numpy()
    np.testing.assert_allclose(ours.min_snr_weights(t, 5.0), weights, atol=1e-6)


def test_inversion_ends_in_noise_and_comes_back():
    plan = sampling_plan(NoiseSchedule.from_config(RAW), "ddim", 50)
    picture = np.random.default_rng(2).standard_normal((1, 4, 2, 2)).astype(np.float32)
    *_, noise = invert(lambda x, t: x * 0, picture, plan)
    *_, back = plan.run(lambda x, t: x * 0, noise)
    assert np.isfinite(noise).all() and np.isfinite(back).all()


def test_off_leaves_the_schedule_as_it_was():
    plain = {key: value for key, value in RAW.items() if key != "rescale_betas_zero_snr"}
    without, off = (
        NoiseSchedule.from_config(raw).alphas_cumprod for raw in (plain, {**RAW, "rescale_betas_zero_snr": False})
    )
    assert without.tobytes() == off.tobytes()


def test_noise_alone_is_no_place_to_predict_the_noise_at():
    with pytest.raises(UserError, match=r"rescale_betas_zero_snr with .*epsilon.*; set one of the two"):
        NoiseSchedule.from_config({**RAW, "prediction_type": "epsilon"})
