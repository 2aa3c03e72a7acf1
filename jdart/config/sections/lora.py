"""Settings of the adapters, in the words of PEFT's LoraConfig."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Optional, TypeVar, Union  # Python 3.9 evaluates the annotations of fields: no `X | None` in them

from jdart.config.problem import Problem, check
from jdart.config.said import LATER

UNET_TARGETS = ("to_q", "to_k", "to_v", "to_out.0")
TEXT_TARGETS = ("q_proj", "k_proj", "v_proj", "out_proj")
Targets = Union[tuple[str, ...], str]
Settings = TypeVar("Settings", bound="LoraConfig")


@dataclass(frozen=True)
class RankByNoise:
    """T-LoRA (2507.05964): the noisier the picture, the fewer ranks count, in training and in drawing."""

    min: int  # ranks that count at pure noise
    alpha: float = 1.0  # above 1 the rank falls at less noise already

    def __post_init__(self) -> None:
        check(self.min >= 1, f"min: {self.min} is below 1")
        check(0 < self.alpha <= 100, f"alpha: {self.alpha} is not in (0, 100]")


@dataclass(frozen=True)
class LoraConfig:
    """Adapters of one network, on its linear and convolution layers.

    `target_modules` and `exclude_modules` name layers by the end of their names: "to_q", or in full
    "up_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"; one text in place of a list is a regular expression for
    whole names, as in PEFT: "up_blocks.*attn2.to_[kv]". The keys of the patterns are regular expressions for
    the end of a name, as PEFT matches them: the first that fits decides.
    """

    r: int = 4
    lora_alpha: Optional[float] = None  # None: equal to the layer's rank
    target_modules: Targets = UNET_TARGETS
    lora_dropout: float = 0.0
    use_rslora: bool = False  # scale by alpha / sqrt(r) (2312.03732) instead of alpha / r
    exclude_modules: Targets = ()
    rank_pattern: Mapping[str, int] = field(default_factory=dict)
    alpha_pattern: Mapping[str, float] = field(default_factory=dict)
    # A LoRA file, or a run folder, that both networks start from; {style} stands for the style. None: anew
    init_from: Optional[str] = None
    # Learn the length of the weight's rows apart from their direction (2402.09353)
    use_dora: bool = field(default=False, metadata=LATER)
    rank_by_noise: Optional[RankByNoise] = field(default=None, metadata=LATER)  # None: every rank counts always

    def __post_init__(self) -> None:
        check(self.r >= 1, f"r: {self.r} is below 1")
        check(self.lora_alpha is None or self.lora_alpha > 0, f"lora_alpha: {self.lora_alpha} is not above 0")
        check(len(self.target_modules) > 0, "target_modules: name at least one layer")
        check(self.init_from != "", "init_from: name a LoRA file or a run folder, or leave it out")
        check(0 <= self.lora_dropout < 1, f"lora_dropout: {self.lora_dropout} is not in [0, 1)")
        for key, rank in self.rank_pattern.items():
            check(rank >= 1, f"rank_pattern.{key}: {rank} is below 1")
        if self.rank_by_noise is not None:
            least = min([self.r, *self.rank_pattern.values()])
            check(self.rank_by_noise.min <= least, f"rank_by_noise.min: {self.rank_by_noise.min} is above rank {least}")
            check(not self.use_dora, "rank_by_noise: a DoRA has one length for all its ranks; set one of the two")
        for key, alpha in self.alpha_pattern.items():
            check(alpha > 0, f"alpha_pattern.{key}: {alpha} is not above 0")
        for key in (*self.rank_pattern, *self.alpha_pattern):
            _require_pattern("rank_pattern, alpha_pattern", key)
        for name in ("target_modules", "exclude_modules"):
            if isinstance(getattr(self, name), str):
                _require_pattern(name, getattr(self, name))

    @property
    def alpha(self) -> float:
        """`lora_alpha`, with its default filled in."""
        return float(self.r if self.lora_alpha is None else self.lora_alpha)

    def rank_of(self, layer: str) -> int:
        """The rank of the adapter on `layer`."""
        key = _first_match(self.rank_pattern, layer)
        return self.r if key is None else self.rank_pattern[key]

    def alpha_of(self, layer: str) -> float:
        """The alpha of the adapter on `layer`, with its default filled in."""
        key = _first_match(self.alpha_pattern, layer)
        alpha = self.lora_alpha if key is None else self.alpha_pattern[key]
        return float(self.rank_of(layer) if alpha is None else alpha)

    def chosen(self, layer: str) -> bool:
        """Whether `layer` gets an adapter."""
        return fits(layer, self.target_modules) and not fits(layer, self.exclude_modules)

    def idle_patterns(self, layers: list[str]) -> list[str]:
        """Keys of the patterns that decide for none of `layers`."""
        used = {_first_match(pattern, layer) for layer in layers for pattern in (self.rank_pattern, self.alpha_pattern)}
        return [key for key in dict.fromkeys((*self.rank_pattern, *self.alpha_pattern)) if key not in used]

    def times(self: Settings, count: int) -> Settings:
        """The same adapters for `count` styles at once: every rank times `count`, alpha in the same ratio to it."""
        falling = self.rank_by_noise
        return replace(
            self,
            r=self.r * count,
            lora_alpha=None if self.lora_alpha is None else self.lora_alpha * count,
            rank_pattern={key: rank * count for key, rank in self.rank_pattern.items()},
            alpha_pattern={key: alpha * count for key, alpha in self.alpha_pattern.items()},
            rank_by_noise=None if falling is None else replace(falling, min=falling.min * count),
        )


@dataclass(frozen=True)
class TextLoraConfig(LoraConfig):
    """Adapters of the text encoder. r = 0 leaves it frozen."""

    r: int = 0
    target_modules: Targets = TEXT_TARGETS

    def __post_init__(self) -> None:
        check(self.r >= 0, f"r: {self.r} is below 0")
        check(self.init_from is None, "init_from: lora.init_from names the file of both networks; leave this one out")
        check(
            self.rank_by_noise is None,
            "rank_by_noise: texts are encoded without noise; lora.rank_by_noise is the UNet's",
        )
        if self.r > 0:
            super().__post_init__()


def fits(layer: str, targets: Targets) -> bool:
    """Whether a layer's whole name is as the regular expression, or it or its last words are in the list."""
    if isinstance(targets, str):
        return re.fullmatch(targets, layer) is not None
    return any(layer == target or layer.endswith("." + target) for target in targets)


def one_by_one(targets: Targets) -> dict[str, Targets]:
    """Each target as the user wrote it, and as one that stands alone."""
    return {targets: targets} if isinstance(targets, str) else {target: (target,) for target in targets}


def _require_pattern(where: str, key: str) -> None:
    try:
        re.compile(key)
    except re.error as error:
        raise Problem(f"{where}: {key!r} is no regular expression ({error})") from None


def _first_match(pattern: Mapping[str, object], layer: str) -> str | None:
    return next((key for key in pattern if re.match(rf"(.*\.)?({key})$", layer)), None)
