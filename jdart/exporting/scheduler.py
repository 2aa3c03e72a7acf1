"""A sampler of jdart as a scheduler of diffusers, tried before it is promised."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import Any

import numpy as np

from contest.errors import UserError, needs
from jdart.config import GenerateConfig
from jdart.data.seeds import rng_for
from jdart.generation.samplers import SAMPLERS, SamplingPlan, sampling_plan
from jdart.models.schedule import NoiseSchedule

CLASSES = {
    "ddim": "DDIMScheduler",
    "pndm": "PNDMScheduler",
    "dpmpp_2m": "DPMSolverMultistepScheduler",
    "unipc": "UniPCMultistepScheduler",
    "euler": "EulerDiscreteScheduler",
}
OF_THE_BASE = (
    "beta_end",
    "beta_schedule",
    "beta_start",
    "num_train_timesteps",
    "prediction_type",
    "rescale_betas_zero_snr",
    "set_alpha_to_one",
    "steps_offset",
    "timestep_spacing",
)
OURS = {"ddim": {"clip_sample": False}, "pndm": {"skip_prk_steps": True}}  # what these never and always do here
HEEDS_ALPHA = ("ddim", "pndm")
_TOLERANCE = 1e-3  # of latents whose spread is about 1; a grey level is 8 times that


def scheduler_config(base: Mapping[str, Any], sampler: str) -> dict[str, Any]:
    """The scheduler_config.json with which diffusers samples as `sampler` does; `base` is that of the base model."""
    kept = {key: base[key] for key in OF_THE_BASE if base.get(key) is not None}
    if kept.get("rescale_betas_zero_snr") is False or sampler == "pndm":  # which diffusers' PNDM does not know
        kept.pop("rescale_betas_zero_snr", None)
    if sampler not in HEEDS_ALPHA:
        kept.pop("set_alpha_to_one", None)
    return {"_class_name": CLASSES[sampler], **kept, **OURS.get(sampler, {})}


def to_diffusers(plan: SamplingPlan, sampler: str, latent: np.ndarray) -> np.ndarray:
    """The latent that `plan` starts from as diffusers' scheduler has it: Euler's is not variance preserving there."""
    scale = sqrt(1 + plan.sigmas[plan.first] ** 2) if sampler == "euler" else 1.0
    return (latent * scale).astype(np.float32)


def require_same_path(schedule: NoiseSchedule, config: Mapping[str, Any], settings: GenerateConfig) -> None:
    """Raise UserError where diffusers' scheduler leads elsewhere than ours, tried on a made-up network.

    `jdart.generation.samplers` says where the two part on purpose.
    """
    plan = sampling_plan(schedule, settings.sampler, settings.steps, settings.strength)
    noise, x0 = (rng_for("a made-up network", part).standard_normal((1, 4, 4, 4), np.float32) for part in (0, 1))
    start = x = plan.start(noise, None if settings.strength is None else x0)
    for step in plan.run(lambda x, t: np.tanh(x) * np.float32(0.6) + np.float32(np.sin(t / 50)), x):
        x = step
    try:
        theirs = _walk(config, settings.steps, plan.first, to_diffusers(plan, settings.sampler, start))
    except (IndexError, ValueError) as error:
        raise UserError(f"diffusers cannot draw {settings.steps} steps of {settings.sampler}: {error}") from error
    if not np.abs(theirs - x).max() <= _TOLERANCE:
        others = ", ".join(name for name in SAMPLERS if name != settings.sampler)
        raise UserError(
            f"diffusers' {config['_class_name']} takes other ways than jdart in {settings.steps} steps on this base's "
            f"timesteps; draw with other generate.steps, or generate.sampler: {others}"
        )


def _walk(config: Mapping[str, Any], steps: int, first: int, latent: np.ndarray) -> np.ndarray:
    """Where diffusers' scheduler gets from `latent` at its timestep `first`, as its pipelines drive it."""
    with needs("diffusers"):
        import diffusers
        import torch
    scheduler = getattr(diffusers, config["_class_name"]).from_config(dict(config))
    scheduler.set_timesteps(steps)
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(first)
    x = torch.from_numpy(latent)
    for t in scheduler.timesteps[first:]:
        output = torch.tanh(scheduler.scale_model_input(x, t)) * 0.6 + float(np.sin(float(t) / 50))
        x = scheduler.step(output, t, x).prev_sample
    found: np.ndarray = x.numpy()
    return found
