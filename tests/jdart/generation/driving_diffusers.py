"""diffusers' schedulers, driven as its Stable Diffusion pipelines drive them; and mended where jdart departs."""

import numpy as np
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    PNDMScheduler,
    UniPCMultistepScheduler,
)

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
SCHEDULERS = {
    "ddim": DDIMScheduler,
    "pndm": PNDMScheduler,
    "dpmpp_2m": DPMSolverMultistepScheduler,
    "unipc": UniPCMultistepScheduler,
    "euler": EulerDiscreteScheduler,
}


class Driver:
    """A scheduler with its timesteps set. `departs` says why jdart departs from it there, or is empty.

    Mended it is still diffusers' own step, only told the stride that its list of timesteps has, and without the
    timestep -1.
    """

    def __init__(self, name, config, steps):
        self.name, self.steps = name, steps
        self.scheduler = SCHEDULERS[name].from_config(config)
        self.scheduler.set_timesteps(steps)
        self.count = self.scheduler.config.num_train_timesteps
        self.departs = ""
        once = list(dict.fromkeys(self.scheduler.timesteps.tolist()))
        if once[-1] < 0:
            self.departs = "the timestep below 0"
            self.scheduler.timesteps = self.scheduler.timesteps[:-1]
            if hasattr(self.scheduler, "sigmas"):
                self.scheduler.sigmas = torch.cat([self.scheduler.sigmas[:-2], self.scheduler.sigmas[-1:]])
                self.scheduler.num_inference_steps = steps
            once = once[:-1]
        self.once = once
        strides = {above - below for above, below in zip(once, once[1:])}
        stride = self.count // steps
        if name in ("ddim", "pndm") and (strides - {stride} or once[-1] >= stride):
            self.departs = self.departs or "the stride"

    def run(self, model, strength, noise, x0):
        """Timesteps and trajectory, its start first."""
        scheduler, steps = self.scheduler, self.steps
        skipped = 0 if strength is None else steps - min(int(steps * strength), steps)
        timesteps = scheduler.timesteps[skipped * scheduler.order :]
        if strength is None:
            x = torch.from_numpy(noise) * scheduler.init_noise_sigma
        else:
            if hasattr(scheduler, "set_begin_index"):
                scheduler.set_begin_index(skipped * scheduler.order)
            x = scheduler.add_noise(torch.from_numpy(x0), torch.from_numpy(noise), timesteps[:1].repeat(len(x0)))
        trajectory = [self._preserving(x, skipped)]
        for i, t in enumerate(timesteps):
            if self.departs and self.name in ("ddim", "pndm"):
                self._mend_stride(i, t.item())
            output = torch.from_numpy(model(scheduler.scale_model_input(x, t).numpy(), t.item()))
            x = scheduler.step(output, t, x).prev_sample
            trajectory.append(self._preserving(x, skipped + i + 1))
        return timesteps.tolist(), trajectory

    def _preserving(self, x, place):
        """Diffusers' Euler keeps x / alpha, jdart x."""
        return (x / (self.scheduler.sigmas[place] ** 2 + 1) ** 0.5 if self.name == "euler" else x).numpy()

    def _mend_stride(self, call, t):
        """The stride is T // n there: make it what lies between `t` and its neighbour, or beyond the end."""
        place = self.once.index(t)
        if self.name == "pndm" and call == 1:  # the first step once more, to t
            stride = self.once[place - 1] - t
        else:
            stride = t - self.once[place + 1] if place + 1 < len(self.once) else t + 1
        self.scheduler.num_inference_steps = 1
        self.scheduler.register_to_config(num_train_timesteps=int(stride))


def model(x, t):
    """A smooth stand-in for the network that mixes neighbouring pixels and heeds the timestep."""
    t = np.float32(t) / 1000
    mixed = 0.6 * x + 0.3 * np.roll(x, 1, axis=-1) - 0.1 * np.roll(x, 1, axis=1)
    return (np.sin(mixed + 2 * t) * (0.5 + t) + 0.2 * np.cos(5 * t)).astype(np.float32)


def draws(shape):
    """Noise, and the latent of a picture."""
    rng = np.random.default_rng(7)
    return rng.standard_normal(shape).astype(np.float32), 0.8 * rng.standard_normal(shape).astype(np.float32)
