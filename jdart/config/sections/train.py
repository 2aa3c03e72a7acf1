"""Settings of the optimisation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional, Union  # Python 3.9 evaluates the annotations of fields: no `X | None` in them

from jdart.config.problem import check
from jdart.config.said import LATER
from jdart.config.sections.blend import CompositionConfig
from jdart.config.sections.ip_adapter import IPAdapterTrainConfig

Formats = Union[tuple[str, ...], str]
ALSO = ("kohya", "peft", "bin")  # formats of jdart.lora.formats.file beside the one that is always written


TIMESTEPS = ("uniform", "style_friendly")
SCHEDULES = ("constant", "constant_with_warmup", "linear", "cosine", "cosine_with_restarts", "polynomial")


@dataclass(frozen=True)
class TrainConfig:
    """Optimisation, under diffusers' names; a step is one update of the weights."""

    steps: int = 800
    batch_size: int = 1
    gradient_accumulation_steps: int = 1
    learning_rate: float = 1e-4
    text_encoder_learning_rate: Optional[float] = None  # None: the same
    lr_scheduler: str = "constant"
    lr_warmup_steps: int = 0
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    adam_weight_decay: float = 1e-2
    adam_epsilon: float = 1e-8
    max_grad_norm: Optional[float] = 1.0  # None: no clipping
    packed: bool = False  # one LoRA for all styles of the run, each rank as many times as there are styles
    # LoRA+ (2402.12354): the learning rate of B over that of A
    loraplus_lr_ratio: Optional[float] = None  # the same ratio everywhere
    loraplus_gamma: Optional[float] = None  # or max(1, gamma * sqrt(n / r)): n inputs of the layer, rank r
    # Loss
    noise_offset: float = 0.0  # deviation of noise that is the same all over a channel
    snr_gamma: Optional[float] = None  # min-SNR weights (2303.09556)
    min_timestep: int = 0  # noise levels that are learnt: from this one
    max_timestep: Optional[int] = None  # up to, and without, this one; None: all of the base's schedule
    timesteps: str = field(default="uniform", metadata=LATER)  # how often each: alike, or style_friendly (2411.14793)
    # Of the normal distribution of log SNR that style_friendly draws from; a mean of None: as the base predicts
    log_snr_mean: Optional[float] = field(default=None, metadata=LATER)
    log_snr_std: float = field(default=2.0, metadata=LATER)
    style_loss_weight: float = 0.0  # of the difference in Gram matrices (1508.06576)
    style_loss_max_timestep: int = 300  # below which the style loss counts
    ema_decay: Optional[float] = None  # of an average of the weights, which then is what is kept; None: the last ones
    checkpointing_steps: Optional[int] = 100  # updates after which a stop costs nothing; None: a style is begun anew
    tensorboard: bool = False  # write event files beside the LoRA
    composition: Optional[CompositionConfig] = field(default=None, metadata=LATER)  # for generate.style_blend
    ip_adapter: Optional[IPAdapterTrainConfig] = field(default=None, metadata=LATER)  # for generate.ip_adapter
    also: Formats = ()  # formats that it is written in as well: kohya (ComfyUI), peft, bin

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "gradient_accumulation_steps"):
            check(getattr(self, name) >= 1, f"{name}: {getattr(self, name)} is below 1")
        check(self.learning_rate > 0, f"learning_rate: {self.learning_rate} is not above 0")
        text_rate = self.text_encoder_learning_rate
        check(text_rate is None or text_rate > 0, f"text_encoder_learning_rate: {text_rate} is not above 0")
        check(
            self.lr_scheduler in SCHEDULES,
            f"lr_scheduler: {self.lr_scheduler!r}; there are {', '.join(SCHEDULES)}",
        )
        for name in ("adam_beta1", "adam_beta2"):
            check(0 <= getattr(self, name) < 1, f"{name}: {getattr(self, name)} is not in [0, 1)")
        for name in self.formats:
            check(name in ALSO, f"also: {name!r}; beside diffusers' there are {', '.join(ALSO)}")
        self._check_loraplus()
        self._check_loss()
        check(self.adam_epsilon > 0, f"adam_epsilon: {self.adam_epsilon} is not above 0")
        check(self.adam_weight_decay >= 0, f"adam_weight_decay: {self.adam_weight_decay} is below 0")
        check(self.lr_warmup_steps >= 0, f"lr_warmup_steps: {self.lr_warmup_steps} is below 0")
        check(
            self.max_grad_norm is None or self.max_grad_norm > 0,
            f"max_grad_norm: {self.max_grad_norm}; use null for none",
        )
        decay, every = self.ema_decay, self.checkpointing_steps
        check(decay is None or 0 <= decay < 1, f"ema_decay: {decay} is not in [0, 1); use null for none")
        check(every is None or every >= 1, f"checkpointing_steps: {every} is below 1; use null for none")

    @property
    def formats(self) -> tuple[str, ...]:
        """`also` as a list without repetitions."""
        return (self.also,) if isinstance(self.also, str) else tuple(dict.fromkeys(self.also))

    def _check_loraplus(self) -> None:
        ratio, gamma = self.loraplus_lr_ratio, self.loraplus_gamma
        check(ratio is None or ratio > 0, f"loraplus_lr_ratio: {ratio} is not above 0")
        check(gamma is None or gamma > 0, f"loraplus_gamma: {gamma} is not above 0")
        check(
            ratio is None or gamma is None, "loraplus_gamma: takes the place of loraplus_lr_ratio; set one of the two"
        )

    def _check_loss(self) -> None:
        check(self.noise_offset >= 0, f"noise_offset: {self.noise_offset} is below 0")
        check(self.snr_gamma is None or self.snr_gamma > 0, f"snr_gamma: {self.snr_gamma} is not above 0")
        check(self.min_timestep >= 0, f"min_timestep: {self.min_timestep} is below 0")
        top = self.max_timestep
        check(top is None or top > self.min_timestep, f"max_timestep: {top} is not above min_timestep")
        check(self.timesteps in TIMESTEPS, f"timesteps: {self.timesteps!r}; there are {', '.join(TIMESTEPS)}")
        mean, deviation = self.log_snr_mean, self.log_snr_std
        check(mean is None or -20 <= mean <= 20, f"log_snr_mean: {mean} is not in [-20, 20]")
        check(0.1 <= deviation <= 100, f"log_snr_std: {deviation} is not in [0.1, 100]")
        check(self.style_loss_weight >= 0, f"style_loss_weight: {self.style_loss_weight} is below 0")
        limit = self.style_loss_max_timestep
        reached = self.style_loss_weight == 0 or limit > self.min_timestep
        check(reached, f"style_loss_max_timestep: {limit} is not above min_timestep, so that the loss never counts")
