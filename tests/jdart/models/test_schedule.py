import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from diffusers.training_utils import compute_snr

from jdart.models.schedule import NoiseSchedule
from submission.errors import UserError

SD21 = {
    "_class_name": "PNDMScheduler",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "clip_sample": False,
    "num_train_timesteps": 1000,
    "prediction_type": "v_prediction",
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "trained_betas": None,
}


def arrays(count=3, seed=0):
    rng = np.random.default_rng(seed)
    x0, noise, output = rng.standard_normal((3, count, 4, 5, 6)).astype(np.float32)
    return x0, noise, output, np.array([0, 417, 999])[:count]


@pytest.mark.parametrize("kind", ["linear", "scaled_linear"])
def test_alphas_are_those_of_diffusers(kind):
    config = {**SD21, "beta_schedule": kind}
    ours, theirs = NoiseSchedule.from_config(config), DDIMScheduler.from_config(config)
    np.testing.assert_allclose(ours.alphas_cumprod, theirs.alphas_cumprod.numpy(), rtol=1e-6)
    assert ours.alphas_cumprod.dtype == np.float32
    assert (ours.timestep_spacing, ours.set_alpha_to_one, ours.steps_offset) == (None, False, 1)


def test_silent_config_has_the_defaults_of_diffusers():
    np.testing.assert_allclose(
        NoiseSchedule.from_config({}).alphas_cumprod, DDIMScheduler().alphas_cumprod.numpy(), rtol=1e-6
    )


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_noise_and_target_are_those_of_diffusers(prediction):
    config = {**SD21, "prediction_type": prediction}
    ours, theirs = NoiseSchedule.from_config(config), DDIMScheduler.from_config(config)
    x0, noise, _, t = arrays()
    tensors = torch.from_numpy(x0), torch.from_numpy(noise), torch.from_numpy(t)
    noisy = ours.add_noise(x0, noise, t)
    assert noisy.dtype == np.float32
    np.testing.assert_allclose(noisy, theirs.add_noise(*tensors).numpy(), atol=1e-6)
    expected = noise if prediction == "epsilon" else theirs.get_velocity(*tensors).numpy()
    np.testing.assert_allclose(ours.target(x0, noise, t), expected, atol=1e-6)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("t", [np.array([3, 417, 800]), 417])
def test_reading_back_inverts_the_target(prediction, t):
    schedule = NoiseSchedule.from_config({**SD21, "prediction_type": prediction})
    x0, noise, _, _ = arrays()
    output = schedule.target(x0, noise, t)
    found_x0, found_noise = schedule.predict_x0_eps(output, schedule.add_noise(x0, noise, t), t)
    assert found_x0.dtype == found_noise.dtype == np.float32
    np.testing.assert_allclose(found_x0, x0, atol=1e-5)
    np.testing.assert_allclose(found_noise, noise, atol=1e-5)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_min_snr_weights(prediction):
    t = np.array([0, 100, 417, 999])
    snr = compute_snr(DDIMScheduler.from_config(SD21), torch.from_numpy(t)).numpy()
    divisor = snr if prediction == "epsilon" else snr + 1
    ours = NoiseSchedule.from_config({**SD21, "prediction_type": prediction}).min_snr_weights(t, 5.0)
    np.testing.assert_allclose(ours, np.minimum(snr, 5.0) / divisor, rtol=1e-4)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"prediction_type": "flow"}, "epsilon, v_prediction"),
        ({"beta_schedule": "squaredcos_cap_v2"}, "linear, scaled_linear"),
        ({"timestep_spacing": "karras"}, "leading, trailing, linspace"),
        ({"rescale_betas_zero_snr": True}, "rescale_betas_zero_snr"),
        ({"clip_sample": True}, "clip_sample"),
        ({"trained_betas": [0.1, 0.2]}, "trained_betas"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(setting, words):
    with pytest.raises(UserError, match=words):
        NoiseSchedule.from_config({**SD21, **setting})
