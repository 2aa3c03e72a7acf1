"""Samplers: DDIM, PNDM, DPM-Solver++ 2M, UniPC and Euler, in agreement with diffusers' schedulers but where said.

Usage:

    plan = sampling_plan(schedule, "dpmpp_2m", steps=40, strength=0.9)
    x = plan.start(noise, x0)
    for x in plan.run(model, x): ...        # the last x is the picture's latent

A sampler is a generator that starts at `timesteps[first]` and yields the latent after each call of
`model(x, t) -> output`. Latents are variance preserving in every sampler (x = alpha x0 + sigma noise).
`sigmas` holds the levels s = sigma / alpha: one for each timestep and a last one, where the sampler ends.
Arrays are NumPy or Jittor, float32; coefficients are Python floats.

All five move on the same straight line, `_move`; they differ in the x0 they aim at.

On purpose, and held by tests/jdart/generation/test_samplers_matrix.py, they depart from diffusers 0.42 in this:

- The stride. A step ends at the next timestep of the list, the last one at the end. diffusers' DDIM and PNDM end it
  T // n lower (T timesteps, n steps), which is the next timestep only with "leading", and with "trailing" where n
  divides T (huggingface/diffusers#11347, #12633, #14357). Elsewhere its latent is at another noise level than the
  network is then told; and with "leading" and a steps_offset of at least T // n it stops before the end.
- The timestep below 0. With "trailing" diffusers makes n + 1 timesteps, the last -1, for 62 of the n from 1 to 999 (61,
  103, 121, ...), as its list ends at a rounding error above 0. No network was trained at -1; here there are n.
- Numbers of steps that do not fit: above T, or so many that timesteps coincide or lie beyond T - 1. They are refused;
  diffusers ends in an IndexError or NaN, or (Euler) asks the network for timesteps it never saw.
- `steps_offset` is what the base's config says. diffusers' schedulers agree; its Stable Diffusion pipelines overwrite
  it by 1 in a config that has another, with a warning that the config is outdated.
- PNDM heeds rescale_betas_zero_snr; diffusers' draws on as if the base had been trained without.
- PNDM takes no Runge-Kutta steps, as Stable Diffusion's config asks (`skip_prk_steps`), whatever the base's says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import expm1, floor, isfinite, log, sqrt
from typing import NoReturn

import numpy as np

from contest.errors import UserError
from jdart.models.schedule import Array, NoiseSchedule

Model = Callable[[Array, float], Array]
Floats = Sequence[float]
Sampler = Callable[[Model, Array, NoiseSchedule, Floats, Floats, int], Iterator[Array]]

# Adams-Bashforth weights, newest output first; a row for each number of outputs known (arXiv 2202.09778).
ADAMS_BASHFORTH = (
    (1.0,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)


def ddim(
    model: Model, x: Array, schedule: NoiseSchedule, timesteps: Floats, sigmas: Floats, first: int = 0
) -> Iterator[Array]:
    """DDIM without added noise (arXiv 2010.02502, eq. 12), and Euler's method (arXiv 2206.00364).

    The two are one formula; they differ in their timesteps and in where they end.
    """
    for i in range(first, len(timesteps)):
        x0 = _predict_x0(model, x, schedule, timesteps[i])
        x = _move(x, x0, sigmas[i], sigmas[i + 1])
        yield x


def pndm(
    model: Model, x: Array, schedule: NoiseSchedule, timesteps: Floats, sigmas: Floats, first: int = 0
) -> Iterator[Array]:
    """Pseudo linear multistep (arXiv 2202.09778), without Runge-Kutta steps, as Stable Diffusion uses it.

    The first step is done twice: its end gives a second output, and the mean of both the step that counts. Where the
    last timestep is 0 and so is the end, the last step stays where it is.
    """
    start = x
    outputs: list[Array] = []  # newest first
    for i in range(first, len(timesteps)):
        output = model(x, timesteps[i])
        if i == first + 1:
            combined = (output + outputs[0]) * 0.5
            x, here, there = start, _above(sigmas, i), i
        else:
            outputs = [output, *outputs[:3]]
            weights = ADAMS_BASHFORTH[len(outputs) - 1]
            combined = output * weights[0]
            for weight, older in zip(weights[1:], outputs[1:]):
                combined = combined + older * weight
            here, there = i, _below(sigmas, i)
        x0, _ = schedule.predict_x0_eps(combined, x, timesteps[here])
        x = _move(x, x0, sigmas[here], sigmas[there])
        yield x


def dpmpp_2m(
    model: Model, x: Array, schedule: NoiseSchedule, timesteps: Floats, sigmas: Floats, first: int = 0
) -> Iterator[Array]:
    """DPM-Solver++ 2M, midpoint (arXiv 2211.01095, algorithm 2); first and last step of first order."""
    older = None
    for i in range(first, len(timesteps)):
        x0 = _predict_x0(model, x, schedule, timesteps[i])
        x = _move(x, _extrapolate(x0, older, sigmas, i), sigmas[i], sigmas[i + 1])
        older = x0
        yield x


def unipc(
    model: Model, x: Array, schedule: NoiseSchedule, timesteps: Floats, sigmas: Floats, first: int = 0
) -> Iterator[Array]:
    """UniPC of order 2 with B(h) = e^h - 1 (arXiv 2302.04867); its predictor is DPM-Solver++ 2M.

    Each output also corrects the step that led to it, at no further call of the model.
    """
    before = x  # the corrected latent one step back
    known: list[Array] = []  # x0, newest first
    for i in range(first, len(timesteps)):
        x0 = _predict_x0(model, x, schedule, timesteps[i])
        if i > first:
            x = _move(before, _correct(x0, known, sigmas, i), sigmas[i - 1], sigmas[i])
        before, known = x, [x0, *known[:1]]
        older = known[1] if i > first else None
        x = _move(x, _extrapolate(x0, older, sigmas, i), sigmas[i], sigmas[i + 1])
        yield x


def _predict_x0(model: Model, x: Array, schedule: NoiseSchedule, t: float) -> Array:
    return schedule.predict_x0_eps(model(x, t), x, t)[0]


def _move(x: Array, x0: Array, here: float, there: float) -> Array:
    """`x` at level `here`, moved to level `there` as if `x0` were the clean image: DDIM, eq. 12."""
    (_, sigma), (alpha_there, sigma_there) = _alpha_sigma(here), _alpha_sigma(there)
    towards = alpha_there * (1 - there / here) if isfinite(there) else -1 / here
    return x * (sigma_there / sigma) + x0 * towards


def _alpha_sigma(level: float) -> tuple[float, float]:
    """alpha and sigma at a level sigma / alpha, which is infinite where there is noise alone."""
    alpha = 1 / sqrt(1 + level**2)
    return (alpha, level * alpha) if isfinite(level) else (0.0, 1.0)


def _above(sigmas: Floats, i: int) -> int:
    """The place of the level above level i; the two looks at PNDM's second level share one level."""
    return i - 1 if sigmas[i - 1] > sigmas[i] else i - 2


def _below(sigmas: Floats, i: int) -> int:
    """The place of the level below level i; the end, where there is none below."""
    return next((j for j in range(i + 1, len(sigmas)) if sigmas[j] < sigmas[i]), len(sigmas) - 1)


def _extrapolate(x0: Array, older: Array | None, sigmas: Floats, i: int) -> Array:
    """x0 half a step ahead of `sigmas[i]`, on the line in log-SNR through the x0 of the step before."""
    if older is None or i == len(sigmas) - 2:
        return x0
    ratio = log(sigmas[i] / sigmas[i + 1]) / log(sigmas[i - 1] / sigmas[i])
    return x0 + (x0 - older) * (0.5 * ratio)


def _correct(x0: Array, known: Sequence[Array], sigmas: Floats, i: int) -> Array:
    """The x0 that UniC aims at in redoing the step to `sigmas[i]`, now that its end `x0` is known (eq. 9)."""
    newest = known[0]
    if len(known) == 1:
        return (x0 + newest) * 0.5
    h = log(sigmas[i - 1] / sigmas[i])
    r = -log(sigmas[i - 2] / sigmas[i - 1]) / h
    b = expm1(-h)
    phi_2 = -b / h - 1
    phi_3 = -phi_2 / h - 0.5
    # [[1, 1], [r, 1]] rho = [phi_2, 2 phi_3] / b
    rho = (phi_2 - 2 * phi_3) / (b * (1 - r))
    return newest + (known[1] - newest) * (rho / r) + (x0 - newest) * (phi_2 / b - rho)


@dataclass(frozen=True)
class _Method:
    """A sampler and its habits in diffusers, as far as the scheduler's config leaves them open."""

    sampler: Sampler
    spacing: str  # where the config names none
    ends_clean: bool = True  # at x0; False: at the level of timestep 0
    heeds_set_alpha_to_one: bool = False  # the config's set_alpha_to_one says where it ends
    extra_node: bool = False  # timesteps are spaced as if there were one step more, at the clean end
    fractional: bool = False  # timesteps of linspace spacing are not rounded
    knows_noise: bool = False  # steps from an SNR of zero; the others from ALMOST_NOISE (jdart.models.schedule)


SAMPLERS = {
    "ddim": _Method(ddim, "leading", heeds_set_alpha_to_one=True, knows_noise=True),
    "pndm": _Method(pndm, "leading", ends_clean=False, heeds_set_alpha_to_one=True, knows_noise=True),
    "dpmpp_2m": _Method(dpmpp_2m, "linspace", extra_node=True),
    "unipc": _Method(unipc, "linspace", extra_node=True),
    "euler": _Method(ddim, "linspace", fractional=True),
}


@dataclass(frozen=True, eq=False)
class SamplingPlan:
    """Where a sampler starts, stops in between and ends. Made by `sampling_plan`."""

    sampler: Sampler
    schedule: NoiseSchedule
    timesteps: tuple[float, ...]  # from pure noise on
    sigmas: tuple[float, ...]  # sigma / alpha at the timesteps, and at the end
    first: int  # the timestep to start at; above 0 it takes an image to start from
    noise_scale: float  # of pure noise at timesteps[0]

    @property
    def calls(self) -> int:
        """How often `run` calls the model, and yields."""
        return len(self.timesteps) - self.first

    def start(self, noise: Array, x0: Array | None = None) -> Array:
        """The latent to start from: `noise` (unit variance), or the image's latent `x0` with noise on it."""
        if x0 is not None:
            return self.schedule.add_noise(x0, noise, self.timesteps[self.first])
        if self.first > 0:
            raise ValueError("a plan with strength below 1 starts from an image: pass x0")
        return noise * self.noise_scale

    def run(self, model: Model, x: Array) -> Iterator[Array]:
        """Yield the latent after each call of `model(x, t) -> output`; the last one is the result."""
        return self.sampler(model, x, self.schedule, self.timesteps, self.sigmas, self.first)


def sampling_plan(schedule: NoiseSchedule, name: str, steps: int, strength: float | None = None) -> SamplingPlan:
    """Plan `steps` steps of sampler `name`, or, given `strength` in (0, 1], the last floor(steps * strength).

    PNDM calls the model once more than it has steps. Part-way, diffusers cuts PNDM's list of timesteps after
    the second one was doubled, and so skips a noise level; that is kept, so that the same settings give the
    same pictures. UserError for a name, steps or strength out of range, and for steps that do not fit the schedule.
    """
    if name not in SAMPLERS:
        raise UserError(f"sampler {name!r} is not known; known: {', '.join(SAMPLERS)}")
    if not 1 <= steps <= schedule.num_train_timesteps:
        raise UserError(f"steps = {steps} is out of range; take 1 to {schedule.num_train_timesteps}")
    if strength is not None and not (0 < strength <= 1 and floor(steps * strength) >= 1):
        raise UserError(f"strength = {strength} is out of range for {steps} steps; take {1 / steps:.3g} to 1")
    first = 0 if strength is None else steps - floor(steps * strength)

    method = SAMPLERS[name]
    if not method.knows_noise:
        schedule = schedule.with_finite_levels()
    spacing = method.spacing if schedule.timestep_spacing is None else schedule.timestep_spacing
    timesteps = _timesteps(method, spacing, schedule, steps)
    if not _fit(timesteps, schedule):
        _refuse(method, spacing, schedule, steps)
    if method.sampler is pndm:
        timesteps = np.insert(timesteps, 1, timesteps[1:2])  # the second is asked twice
    ends_clean = method.ends_clean
    if method.heeds_set_alpha_to_one and schedule.set_alpha_to_one is not None:
        ends_clean = schedule.set_alpha_to_one
    sigmas = [
        *schedule.sigma_ratio(timesteps).tolist(),
        0.0 if ends_clean else float(schedule.sigma_ratio(0)),
    ]
    # diffusers' Euler starts at the first level exactly; all else, and "leading", at unit variance.
    exact = method.fractional and spacing != "leading"
    scale = sigmas[0] / sqrt(1 + sigmas[0] ** 2) if exact else 1.0
    return SamplingPlan(method.sampler, schedule, tuple(timesteps.tolist()), tuple(sigmas), first, scale)


def _timesteps(method: _Method, spacing: str, schedule: NoiseSchedule, steps: int) -> np.ndarray:
    """Timesteps from noise to image, each once; spacings as in arXiv 2305.08891, table 2."""
    count, nodes = schedule.num_train_timesteps, steps + method.extra_node
    if spacing == "leading":
        t = np.arange(nodes, dtype=np.float64)[::-1][:steps] * (count // nodes) + schedule.steps_offset
    elif spacing == "trailing":
        t = np.arange(count, 0, -count / steps)[:steps].round() - 1
    else:
        t = np.linspace(0, count - 1, nodes)[::-1][:steps]
        if method.fractional:
            return t
    return t.round().astype(np.int64)


def _fit(timesteps: np.ndarray, schedule: NoiseSchedule) -> bool:
    """Whether the network knows all of them, and each is below the one before."""
    return bool(timesteps[0] < schedule.num_train_timesteps and (np.diff(timesteps) < 0).all())


def _refuse(method: _Method, spacing: str, schedule: NoiseSchedule, steps: int) -> NoReturn:
    fewer = (n for n in range(steps - 1, 0, -1) if _fit(_timesteps(method, spacing, schedule, n), schedule))
    most = next(fewer, None)
    cure = "another sampler or base" if most is None else str(most)
    raise UserError(
        f"steps = {steps} does not fit this base's {schedule.num_train_timesteps} timesteps with timestep_spacing "
        f"{spacing} and steps_offset {schedule.steps_offset}; take {cure}"
    )
