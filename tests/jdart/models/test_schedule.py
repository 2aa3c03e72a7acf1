import diffusers
import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from diffusers.training_utils import compute_snr

from contest.disk.files import read_json
from contest.errors import UserError
from jdart.models.schedule import NoiseSchedule

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


SAVED = ["PNDM", "DDIM", "DPMSolverMultistep", "UniPCMultistep", "EulerDiscrete", "EulerAncestralDiscrete"]
SAVED += [
    "HeunDiscrete",
    "LMSDiscrete",
    "DPMSolverSinglestep",
    "KDPM2Discrete",
    "KDPM2AncestralDiscrete",
    "DEISMultistep",
    "DDPM",
    "LCM",
]


@pytest.mark.parametrize("left_out", [(), ("clip_sample",)], ids=["whole", "without clip_sample"])
@pytest.mark.parametrize("name", SAVED)
def test_sd21_saved_with_another_scheduler_is_read(name, left_out, tmp_path):
    config = {key: value for key, value in SD21.items() if key not in left_out}
    getattr(diffusers, f"{name}Scheduler").from_config(config).save_pretrained(tmp_path)
    ours = NoiseSchedule.from_config(read_json(tmp_path / "scheduler_config.json"))
    np.testing.assert_array_equal(ours.alphas_cumprod, NoiseSchedule.from_config(SD21).alphas_cumprod)
    assert (ours.prediction_type, ours.steps_offset, ours.set_alpha_to_one) == ("v_prediction", 1, False)


@pytest.mark.filterwarnings("ignore:The configuration file of this scheduler:FutureWarning")
def test_a_pipeline_never_clips_and_so_nothing_is_clipped_here():
    parts = dict.fromkeys(("vae", "text_encoder", "tokenizer", "unet", "safety_checker", "feature_extractor"))
    scheduler = diffusers.DDIMScheduler.from_config({**SD21, "clip_sample": True})
    pipe = diffusers.StableDiffusionPipeline(**parts, scheduler=scheduler, requires_safety_checker=False)
    assert pipe.scheduler.config.clip_sample is False
    NoiseSchedule.from_config({**SD21, "clip_sample": True})


@pytest.mark.parametrize(("key", "value"), [
    ("trained_betas", [0.1] * 1000),
    ("use_flow_sigmas", True),
    ("use_dynamic_shifting", True),
    ("variance_type", "learned_range"),
    ("prediction_type", "sample"),
    ("prediction_type", "flow_prediction"),
    ("beta_schedule", "squaredcos_cap_v2"),
])  # fmt: skip
def test_what_the_model_was_trained_with_is_not_to_be_switched_off(key, value):
    with pytest.raises(UserError, match=f"{key} = .*take another base$") as caught:
        NoiseSchedule.from_config({**SD21, key: value})
    assert "set it" not in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(("key", "value", "cure"), [
    *((f"use_{name}", True, "set it to false") for name in ("karras_sigmas", "exponential_sigmas", "beta_sigmas")),
    *((name, True, "set it to false") for name in ("use_lu_lambdas", "thresholding")),
    ("final_sigmas_type", "sigma_min", "set it to zero"),
    ("interpolation_type", "log_linear", "set it to linear"),
    ("timestep_type", "continuous", "set it to discrete"),
    ("timestep_spacing", "karras", "leading, trailing, linspace; set it to one of these"),
    ("set_alpha_to_one", "false", "True, False; set it to one of these"),
])  # fmt: skip
def test_what_is_only_about_drawing_says_what_to_set(key, value, cure):
    with pytest.raises(UserError, match=f"{key} = .*{cure}"):
        NoiseSchedule.from_config({**SD21, key: value})


@pytest.mark.parametrize(("key", "value", "words"), [
    ("beta_start", "small", "no usable number"),
    ("beta_start", None, "no usable number"),
    ("beta_start", True, "no usable number"),
    ("beta_end", float("nan"), "no usable number"),
    ("beta_end", float("inf"), "no usable number"),
    ("beta_end", 10**400, "no usable number"),
    ("num_train_timesteps", float("inf"), "no usable number"),
    ("num_train_timesteps", 10**8, "no schedule"),
    ("num_train_timesteps", 0, "no schedule"),
    ("steps_offset", 0.5, "no whole number"),
    ("steps_offset", -1, "no schedule"),
    ("steps_offset", 1000, "no schedule"),
])  # fmt: skip
def test_numbers_that_are_none_are_refused(key, value, words):
    with pytest.raises(UserError, match=f"{words}.*fetch the base model again"):
        NoiseSchedule.from_config({**SD21, key: value})
