"""The noise schedule: what the network is trained to predict, and how a prediction is read back.

Works on NumPy arrays and on Jittor variables alike: only their own arithmetic is used, always with the array
to the left of a coefficient, so that NumPy never takes a Jittor variable apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from contest.errors import UserError
from jdart.config.sections.base import PREDICTION_TYPES, SPACINGS

Array = Any  # numpy.ndarray or jittor.Var, float32

BETA_SCHEDULES = ("linear", "scaled_linear")
# Settings of diffusers that change the numbers and no Stable Diffusion 1 or 2 uses: refused, not ignored. Each with
# what it may be beside absent, null and false.
OF_THE_MODEL = {  # it was trained so: with another value its pictures would come out wrong, without a word
    "trained_betas": (),
    "use_flow_sigmas": (),
    "use_dynamic_shifting": (),
    "variance_type": ("fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log"),
}
# Not clip_sample, which diffusers writes where a base is saved with DDIM or DDPM: its Stable Diffusion pipelines never
# clip, whatever the config says.
OF_DRAWING = {  # only how diffusers would draw with it
    "thresholding": (),
    "use_karras_sigmas": (),
    "use_exponential_sigmas": (),
    "use_beta_sigmas": (),
    "use_lu_lambdas": (),
    "final_sigmas_type": ("zero",),
    "interpolation_type": ("linear",),
    "timestep_type": ("discrete",),
}
MAX_TIMESTEPS = 100_000
ALMOST_NOISE = 2**-24  # abar of the last timestep where zero cannot be computed with, as in diffusers


@dataclass(frozen=True, eq=False)
class NoiseSchedule:
    """A variance-preserving schedule: x_t = alpha x0 + sigma noise, alpha^2 = abar_t, sigma^2 = 1 - abar_t.

    `timestep_spacing` and `set_alpha_to_one` are None where the config is silent (as that of SD 2.1 is about
    the spacing); each sampler then has its default in diffusers.
    """

    alphas_cumprod: np.ndarray  # T, float32
    prediction_type: str
    steps_offset: int = 0
    timestep_spacing: str | None = None
    set_alpha_to_one: bool | None = None

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> NoiseSchedule:
        """Read the contents of diffusers' `scheduler_config.json`; UserError for what is not supported."""
        if not isinstance(config, Mapping):
            raise UserError("scheduler config: must hold a JSON object; fetch the base model again")
        _refuse(config)
        kind = _one_of(config, "beta_schedule", BETA_SCHEDULES, "linear", "take another base")
        first, last = _number(config, "beta_start", 0.0001), _number(config, "beta_end", 0.02)
        count, offset = _whole(config, "num_train_timesteps", 1000), _whole(config, "steps_offset", 0)
        if not (0 < first <= last < 1 and 1 <= count <= MAX_TIMESTEPS and 0 <= offset < count):
            raise UserError(
                f"scheduler config: {count} betas from {first} to {last} with steps_offset {offset} are no schedule; "
                "fetch the base model again"
            )
        if kind == "linear":
            betas = np.linspace(first, last, count, dtype=np.float32)
        else:
            betas = np.linspace(first**0.5, last**0.5, count, dtype=np.float32) ** 2
        prediction = str(_one_of(config, "prediction_type", PREDICTION_TYPES, "epsilon", "take another base"))
        if _one_of(config, "rescale_betas_zero_snr", (True, False), False, "set it to one of these"):
            if prediction == "epsilon":
                raise UserError(
                    "scheduler config: rescale_betas_zero_snr with prediction_type epsilon: the last timestep is noise "
                    "alone, which says nothing of a picture; set one of the two otherwise: base.prediction_type to "
                    "v_prediction, or base.rescale_betas_zero_snr to false"
                )
            betas = rescale_zero_terminal_snr(betas)
        # float32 but for the running product, exactly as torch.cumprod does it in diffusers.
        alphas = (np.float32(1) - betas).astype(np.float64)
        return cls(
            alphas_cumprod=np.cumprod(alphas).astype(np.float32),
            prediction_type=prediction,
            steps_offset=offset,
            timestep_spacing=_one_of(config, "timestep_spacing", SPACINGS, None, "set it to one of these"),
            set_alpha_to_one=_one_of(config, "set_alpha_to_one", (True, False), None, "set it to one of these"),
        )

    @property
    def num_train_timesteps(self) -> int:
        return len(self.alphas_cumprod)

    def sigma_ratio(self, t: Any) -> np.ndarray:
        """sigma / alpha (the noise level of Karras et al., arXiv 2206.00364) at timesteps `t`, float64.

        Between two timesteps it is interpolated linearly, as diffusers' Euler sampler does. Infinite at the last one of
        a schedule that ends in noise.
        """
        abar = self.alphas_cumprod.astype(np.float64)
        if self.ends_in_noise:  # no line leads to infinity: whole timesteps alone
            with np.errstate(divide="ignore"):
                return np.sqrt((1 - abar) / abar)[np.asarray(t).astype(np.int64)]
        return np.interp(t, np.arange(len(abar)), np.sqrt((1 - abar) / abar))

    @property
    def ends_in_noise(self) -> bool:
        """Whether nothing of the picture is left at the last timestep (rescale_betas_zero_snr)."""
        return bool(self.alphas_cumprod[-1] == 0)

    def with_finite_levels(self) -> NoiseSchedule:
        """The schedule for a method that computes with log SNR: ALMOST_NOISE in place of an SNR of zero."""
        if not self.ends_in_noise:
            return self
        return replace(self, alphas_cumprod=np.append(self.alphas_cumprod[:-1], np.float32(ALMOST_NOISE)))

    def add_noise(self, x0: Array, noise: Array, t: Any) -> Array:
        """Diffuse `x0` to timestep `t` (a number, or one integer for each image of the batch)."""
        alpha, sigma = self._coefficients(x0, t)
        return x0 * alpha + noise * sigma

    def target(self, x0: Array, noise: Array, t: Any) -> Array:
        """What the network learns to output for `add_noise(x0, noise, t)`.

        epsilon: the noise (arXiv 2006.11239). v_prediction: alpha noise - sigma x0 (arXiv 2202.00512).
        """
        if self.prediction_type == "epsilon":
            return noise
        alpha, sigma = self._coefficients(x0, t)
        return noise * alpha - x0 * sigma

    def predict_x0_eps(self, output: Array, x_t: Array, t: Any) -> tuple[Array, Array]:
        """The image and the noise that the network's `output` at `x_t` stands for; inverts `target`."""
        alpha, sigma = self._coefficients(x_t, t)
        if self.prediction_type == "epsilon":
            return (x_t - output * sigma) / alpha, output
        return x_t * alpha - output * sigma, output * alpha + x_t * sigma

    def output_for(self, x0: Array, x_t: Array, t: Any) -> Array:
        """The network's output at `x_t` that stands for the image `x0`; inverts `predict_x0_eps`."""
        alpha, sigma = self._coefficients(x_t, t)
        if self.prediction_type == "epsilon":
            return (x_t - x0 * alpha) / sigma
        return (x_t * alpha - x0) / sigma

    def min_snr_weights(self, t: np.ndarray, gamma: float) -> np.ndarray:
        """Min-SNR loss weights (arXiv 2303.09556), float32, one for each timestep in `t`."""
        snr = self.sigma_ratio(t) ** -2
        clipped = np.minimum(snr, gamma)
        weights = clipped / snr if self.prediction_type == "epsilon" else clipped / (snr + 1)
        return weights.astype(np.float32)

    def _coefficients(self, x: Array, t: Any) -> tuple[Any, Any]:
        """alpha and sigma: Python floats for a number, else float32 along the first axis of `x`."""
        ratio = self.sigma_ratio(t)
        alpha = 1 / np.sqrt(1 + ratio**2)
        finite = np.isfinite(ratio)
        sigma = np.where(finite, np.where(finite, ratio, 0) * alpha, 1.0)
        if np.ndim(t) == 0:
            return float(alpha), float(sigma)
        shape = (-1, *[1] * (x.ndim - 1))  # B,1,1,1
        return alpha.reshape(shape).astype(np.float32), sigma.reshape(shape).astype(np.float32)


def rescale_zero_terminal_snr(betas: np.ndarray) -> np.ndarray:
    """Betas (T,) float32 with which the last timestep is noise alone (arXiv 2305.08891, algorithm 1)."""
    root = np.sqrt(np.cumprod((np.float32(1) - betas).astype(np.float64)).astype(np.float32))
    first, last = root[0], root[-1]
    bar = ((root - last) * (first / (first - last))) ** 2
    return np.float32(1) - np.concatenate([bar[:1], bar[1:] / bar[:-1]])


def _refuse(config: Mapping[str, Any]) -> None:
    """UserError for a setting that is not heeded here."""
    for table, cure in (
        (OF_THE_MODEL, "the model was trained so: take another base"),
        (OF_DRAWING, "it is only about drawing: set it to {} in the base's scheduler/scheduler_config.json"),
    ):
        for key, allowed in table.items():
            value = config.get(key)
            if value and value not in allowed:
                good = allowed[0] if allowed else "false"
                raise UserError(f"scheduler config: {key} = {_short(value)} is not supported; {cure.format(good)}")


def _one_of(config: Mapping[str, Any], key: str, allowed: tuple[Any, ...], default: Any, cure: str) -> Any:
    value = config.get(key, default)
    if value is not None and not any(value is one or (value == one and isinstance(one, str)) for one in allowed):
        names = ", ".join(map(str, allowed))
        raise UserError(f"scheduler config: {key} = {_short(value)} is not supported; supported: {names}; {cure}")
    return value


def _number(config: Mapping[str, Any], key: str, default: float) -> float:
    value = config.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e9:
        raise UserError(f"scheduler config: {key} = {_short(value)} is no usable number; fetch the base model again")
    return value


def _whole(config: Mapping[str, Any], key: str, default: int) -> int:
    value = _number(config, key, default)
    if not isinstance(value, int):
        raise UserError(f"scheduler config: {key} = {value} is no whole number; fetch the base model again")
    return value


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
