"""What a run does: frozen dataclasses, read once from YAML. Every problem of a file is reported together."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional, Union  # Python 3.9 evaluates the annotations below: no `X | None` in fields

from submission.contest_file import read_yaml
from submission.errors import UserError

UNET_TARGETS = ("to_q", "to_k", "to_v", "to_out.0")
TEXT_TARGETS = ("q_proj", "k_proj", "v_proj", "out_proj")
MAX_SIZE = 4096  # the contest takes no larger picture


class Problem(ValueError):
    """One setting that cannot be used; the text says why and what would do."""


def _check(good: bool, text: str) -> None:
    if not good:
        raise Problem(text)


@dataclass(frozen=True)
class BaseConfig:
    """The base model: a folder in diffusers' layout, or a hub id."""

    model: str = "base"
    revision: Optional[str] = None  # a hub commit; None takes the newest once and notes it in the run folder

    def __post_init__(self) -> None:
        _check(bool(self.model), "model: name a folder or a hub id")


@dataclass(frozen=True)
class DataConfig:
    """Pictures and captions."""

    size: int = 512  # pixels, of the square that is learnt and drawn
    template: str = "an image of {object} in style_{id}"
    prior_template: str = "an image of {object}"
    crops: int = 1  # 1: the centre; more: that many random crops of each picture, each encoded once
    flip: bool = False  # learn every picture mirrored as well

    def __post_init__(self) -> None:
        good = 8 <= self.size <= MAX_SIZE and self.size % 8 == 0
        _check(good, f"size: {self.size} is not a multiple of 8 up to {MAX_SIZE}")
        _check(self.crops >= 1, f"crops: {self.crops} is below 1")
        for name in ("template", "prior_template"):
            try:
                getattr(self, name).format(object="dog", id="00")
            except (KeyError, IndexError, ValueError, AttributeError):
                raise Problem(f"{name}: only {{object}} and {{id}} can stand in braces") from None


@dataclass(frozen=True)
class LoraConfig:
    """Adapters of one network, in the words of PEFT's LoraConfig."""

    rank: int = 4
    alpha: Optional[float] = None  # None: equal to the rank
    targets: tuple[str, ...] = UNET_TARGETS
    dropout: float = 0.0

    def __post_init__(self) -> None:
        _check(self.rank >= 1, f"rank: {self.rank} is below 1")
        _check(self.alpha is None or self.alpha > 0, f"alpha: {self.alpha} is not above 0")
        _check(len(self.targets) > 0, "targets: name at least one layer")
        _check(0 <= self.dropout < 1, f"dropout: {self.dropout} is not in [0, 1)")

    @property
    def scale_alpha(self) -> float:
        """Alpha, with its default filled in."""
        return float(self.rank) if self.alpha is None else float(self.alpha)


@dataclass(frozen=True)
class TextLoraConfig(LoraConfig):
    """Adapters of the text encoder. Rank 0 leaves it frozen."""

    rank: int = 0
    targets: tuple[str, ...] = TEXT_TARGETS

    def __post_init__(self) -> None:
        _check(self.rank >= 0, f"rank: {self.rank} is below 0")
        if self.rank > 0:
            super().__post_init__()


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

    def __post_init__(self) -> None:
        from jdart.lr import SCHEDULES

        for name in ("steps", "batch_size", "gradient_accumulation_steps"):
            _check(getattr(self, name) >= 1, f"{name}: {getattr(self, name)} is below 1")
        _check(self.learning_rate > 0, f"learning_rate: {self.learning_rate} is not above 0")
        text_rate = self.text_encoder_learning_rate
        _check(text_rate is None or text_rate > 0, f"text_encoder_learning_rate: {text_rate} is not above 0")
        _check(
            self.lr_scheduler in SCHEDULES,
            f"lr_scheduler: {self.lr_scheduler!r}; there are {', '.join(SCHEDULES)}",
        )
        for name in ("adam_beta1", "adam_beta2"):
            _check(0 <= getattr(self, name) < 1, f"{name}: {getattr(self, name)} is not in [0, 1)")
        _check(self.adam_epsilon > 0, f"adam_epsilon: {self.adam_epsilon} is not above 0")
        _check(self.adam_weight_decay >= 0, f"adam_weight_decay: {self.adam_weight_decay} is below 0")
        _check(self.lr_warmup_steps >= 0, f"lr_warmup_steps: {self.lr_warmup_steps} is below 0")
        _check(
            self.max_grad_norm is None or self.max_grad_norm > 0,
            f"max_grad_norm: {self.max_grad_norm}; use null for none",
        )


@dataclass(frozen=True)
class PriorConfig:
    """Prior preservation: pictures of the plain base model, learnt along. Weight 0 leaves it out."""

    weight: float = 0.0
    images_per_prompt: int = 8
    steps: int = 25

    def __post_init__(self) -> None:
        _check(self.weight >= 0, f"weight: {self.weight} is below 0")
        _check(self.images_per_prompt >= 1, f"images_per_prompt: {self.images_per_prompt} is below 1")
        _check(self.steps >= 1, f"steps: {self.steps} is below 1")


@dataclass(frozen=True)
class GenerateConfig:
    """Sampling."""

    sampler: str = "pndm"
    steps: int = 25
    guidance_scale: float = 7.5
    negative_prompt: str = ""
    strength: Optional[float] = None  # average-image initialisation; None starts from noise alone
    batch_size: int = 4

    def __post_init__(self) -> None:
        from jdart.samplers import SAMPLERS

        _check(self.sampler in SAMPLERS, f"sampler: {self.sampler!r}; there are {', '.join(SAMPLERS)}")
        _check(self.steps >= 1, f"steps: {self.steps} is below 1")
        _check(self.batch_size >= 1, f"batch_size: {self.batch_size} is below 1")
        in_range = self.strength is None or (0 < self.strength <= 1 and int(self.steps * self.strength) >= 1)
        _check(in_range, f"strength: {self.strength} leaves no step of {self.steps}; take up to 1, or null")


@dataclass(frozen=True)
class ScoreConfig:
    """The evaluator's networks. Without them the pictures are made, checked and packed, but not scored."""

    weights: Optional[str] = None
    profile: str = "official-2024"

    def __post_init__(self) -> None:
        _check(self.weights != "", "weights: name a folder, or leave it out to skip scoring")


@dataclass(frozen=True)
class Config:
    """A whole run: contest, base model, training, generation, scoring."""

    name: str = "run"
    references: str = "data/sample"
    contest: Optional[str] = None  # a shipped name or a YAML file; None: as the references folder says
    styles: Optional[tuple[str, ...]] = None  # None: all
    output: str = "outputs"
    seed: int = 0
    base: BaseConfig = field(default_factory=BaseConfig)
    data: DataConfig = field(default_factory=DataConfig)
    lora: LoraConfig = field(default_factory=LoraConfig)
    text_encoder_lora: TextLoraConfig = field(default_factory=TextLoraConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    prior: PriorConfig = field(default_factory=PriorConfig)
    generate: GenerateConfig = field(default_factory=GenerateConfig)
    score: ScoreConfig = field(default_factory=ScoreConfig)

    def __post_init__(self) -> None:
        for name in ("name", "references", "output"):
            _check(bool(getattr(self, name)), f"{name}: must not be empty")
        _check(self.seed >= 0, f"seed: {self.seed} is below 0")
        _check(self.styles is None or len(self.styles) > 0, "styles: name at least one, or leave it out")


def shipped_folder() -> Path:
    """Where the recipes are: inside an installed package, or in the checkout."""
    installed = Path(__file__).parent / "configs"
    return installed if installed.is_dir() else Path(__file__).parents[1] / "configs"


def recipes() -> tuple[str, ...]:
    """Names of the configurations that come with jdart."""
    return tuple(sorted(path.stem for path in shipped_folder().glob("*.yaml")))


def load_config(name_or_path: str, overrides: Sequence[str] = (), **settings: Any) -> Config:
    """Read a YAML file, or a recipe by its name, and apply `overrides` such as "train.steps=200", then `settings`.

    Raises UserError that lists every unknown key, wrong type and value out of range.
    """
    path = Path(name_or_path)
    if not path.suffix and not path.exists():
        path = shipped_folder() / f"{name_or_path}.yaml"
    if not path.is_file():
        raise UserError(f"{name_or_path}: no such configuration; recipes: {', '.join(recipes())}")
    raw = read_yaml(path)
    if raw is None:
        raw = {}
    if not isinstance(raw, dict):
        raise UserError(f"{path}: a configuration is a mapping of settings")
    for override in overrides:
        _override(raw, override)
    raw.update(settings)
    return from_mapping(raw, str(path))


def from_mapping(raw: Mapping[str, Any], source: str = "configuration") -> Config:
    """Make a Config from nested mappings; the inverse of `to_mapping`."""
    problems: list[str] = []
    config = _build(Config, raw, "", problems)
    if problems or config is None:
        raise UserError(f"{source}: " + "; ".join(problems))
    return config


def to_mapping(config: Config) -> dict[str, Any]:
    """Every setting as plain data, in the order of the dataclasses."""
    return dataclasses.asdict(
        config, dict_factory=lambda pairs: {k: list(v) if isinstance(v, tuple) else v for k, v in pairs}
    )


def _override(raw: dict[str, Any], override: str) -> None:
    import yaml

    key, equals, text = override.partition("=")
    if not equals or not all(key.split(".")):
        raise UserError(f"--set {override}: write it as section.key=value")
    *sections, leaf = key.split(".")
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        raise UserError(f"--set {override}: {text!r} is not a YAML value") from None
    for section in sections:
        raw = raw.setdefault(section, {})
        if not isinstance(raw, dict):
            raise UserError(f"--set {override}: {section} is not a section")
    raw[leaf] = value


def _build(cls: type, raw: Mapping[str, Any], prefix: str, problems: list[str]) -> Any:
    """An instance of a dataclass, or None after noting why not."""
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    before = len(problems)
    for key, value in raw.items():
        if key not in hints:
            problems.append(f"{prefix}{key}: unknown setting; known here: {', '.join(hints)}")
        elif dataclasses.is_dataclass(hints[key]):
            if isinstance(value, Mapping):
                values[key] = _build(hints[key], value, f"{prefix}{key}.", problems)
            else:
                problems.append(f"{prefix}{key}: must be a section with settings of its own")
        else:
            try:
                values[key] = _convert(value, hints[key])
            except Problem as problem:
                problems.append(f"{prefix}{key}: {problem}")
    if len(problems) > before:
        return None
    try:
        return cls(**values)
    except Problem as problem:
        problems.append(f"{prefix}{problem}")
        return None


def _convert(value: Any, hint: Any) -> Any:
    """A YAML value as the type a field asks for; Problem says what is wrong."""
    options = (
        typing.get_args(hint) if typing.get_origin(hint) in (Union, getattr(types, "UnionType", Union)) else (hint,)
    )
    if value is None:
        _check(type(None) in options, "must not be empty")
        return None
    wanted = next(option for option in options if option is not type(None))
    if typing.get_origin(wanted) is tuple:
        good = isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)
        _check(good, f'{value!r} is not a list of texts, such as ["00", "01"]')
        return tuple(value)
    if wanted is float and type(value) is int and abs(value) < 2**63:
        return float(value)
    if wanted in (int, float) and isinstance(value, str):
        raise Problem(f"{value!r} is text to YAML; write a number" + _as_yaml_number(value, wanted))
    _check(type(value) is wanted, f"{value!r} is not {_NAMES[wanted]}")
    _check(wanted is not float or math.isfinite(value), f"{value} is not a finite number")
    return value


_NAMES = {int: "a whole number", float: "a number", str: "text (put it in quotes)", bool: "true or false"}


def _as_yaml_number(text: str, wanted: type) -> str:
    """YAML 1.1 reads 1e-4 as text and 1.0e-4 as a number; show the spelling that works."""
    try:
        number = float(text)
    except ValueError:
        return ""
    if wanted is int and number.is_integer():
        return f", here {int(number)}"
    mantissa, e, exponent = f"{number:e}".partition("e")
    return f", here {float(mantissa)}e{int(exponent):+03d}" if e else ""
