"""What a run does, as one frozen dataclass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Optional  # Python 3.9 evaluates the annotations of fields: no `X | None` in them

from jdart.config.honoured import refused
from jdart.config.overrides import StyleOverride, require_good
from jdart.config.problem import check
from jdart.config.said import LATER
from jdart.config.sections.base import BaseConfig
from jdart.config.sections.data import DataConfig, PriorConfig
from jdart.config.sections.engine import EngineConfig
from jdart.config.sections.generate import GenerateConfig
from jdart.config.sections.lora import LoraConfig, TextLoraConfig
from jdart.config.sections.memory import MemoryConfig
from jdart.config.sections.search import SearchConfig
from jdart.config.sections.token import TokenConfig
from jdart.config.sections.train import TrainConfig
from jdart.config.sections.validation import ValidationConfig


@dataclass(frozen=True)
class ScoreConfig:
    """The evaluator's networks, `toy` for those that come with jdart. Without any, nothing is scored."""

    weights: Optional[str] = None
    profile: str = "official-2024"

    def __post_init__(self) -> None:
        check(self.weights != "", "weights: name a folder, or leave it out to skip scoring")


@dataclass(frozen=True)
class Config:
    """A whole run: contest, base model, training, generation, scoring."""

    name: str = "run"
    references: str = "toy"  # their folder, or those of the toy contest, which come along
    contest: Optional[str] = None  # a shipped name or a YAML file; None: as the references folder says
    styles: Optional[tuple[str, ...]] = None  # None: all
    output: str = "outputs"
    seed: int = 0
    base: BaseConfig = field(default_factory=BaseConfig)
    data: DataConfig = field(default_factory=DataConfig)
    lora: LoraConfig = field(default_factory=LoraConfig)
    text_encoder_lora: TextLoraConfig = field(default_factory=TextLoraConfig)
    token: Optional[TokenConfig] = None  # None: no style token
    train: TrainConfig = field(default_factory=TrainConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    prior: PriorConfig = field(default_factory=PriorConfig)
    generate: GenerateConfig = field(default_factory=GenerateConfig)
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    overrides: Mapping[str, StyleOverride] = field(default_factory=dict)  # by style
    search: Optional[SearchConfig] = field(default=None, metadata=LATER)  # None: a picture a prompt, as it comes
    score: ScoreConfig = field(default_factory=ScoreConfig)
    engine: Optional[EngineConfig] = field(default=None, metadata=LATER)  # None: jdart's own
    # A file of prompts that tell a story, or `toy` for one that comes along; the contest is then one of stories
    story: Optional[str] = field(default=None, metadata=LATER)

    def __post_init__(self) -> None:
        for name in ("name", "references", "output"):
            check(bool(getattr(self, name)), f"{name}: must not be empty")
        check(self.seed >= 0, f"seed: {self.seed} is below 0")
        check(self.styles is None or len(self.styles) > 0, "styles: name at least one, or leave it out")
        check(self.story != "", "story: name a file of prompts, or leave it out")
        check(self.story is None or self.search is None, "story, search: a search chooses by Final, which no story has")
        require_good(self.generate, self.overrides)
        if self.search is not None and self.search.draft is not None:
            self.search.draft.cheaper(self.generate)
        if self.generate.style_blend is not None:
            check(self.train.composition is not None, "generate.style_blend: needs train.composition; set it, as {}")
            for name, on in (("use_dora", self.lora.use_dora), ("rank_by_noise", self.lora.rank_by_noise is not None)):
                check(not on, f"lora.{name}: generate.style_blend cannot weigh such a LoRA; leave one of the two out")
        self._check_ip_adapter()
        if self.token is not None:
            word = self.token.placeholder
            for name in ("template", "caption"):
                where = "template" if name == "template" else "instance_prompt"
                known = word in getattr(self.data, name)
                check(known, f"token.placeholder: {word} is not in data.{where}; put it there")
            check(
                word not in self.data.prior_template, f"token.placeholder: the base does not know {word} of the prior"
            )
            check(not self.train.packed, "token: is learnt for one style; leave it out with train.packed")
        dora = self.lora.use_dora or (self.text_encoder_lora.r > 0 and self.text_encoder_lora.use_dora)
        check(
            not dora or "bin" not in self.train.formats, "train.also: bin has no place for a DoRA; take kohya or peft"
        )
        if self.data.layout == "mvtec":
            check(self.story is None, "story: is drawn in one style, data.layout: mvtec has one a defect; leave it out")
            scored = self.score.weights is not None
            check(not scored, "score.weights: MVTec's defects are no contest that is scored; leave it out")
        if self.engine is not None:
            left = refused(self, Config())
            check(not left, f"engine {self.engine.name} does not do what is asked: {'; '.join(left)}")
        if self.train.packed:
            check("{id}" in self.data.template, "train.packed: data.template needs {id} to tell the styles apart")
            check("{id}" in self.data.caption, "train.packed: data.instance_prompt needs {id} to tell the styles apart")

    def _check_ip_adapter(self) -> None:
        if self.train.ip_adapter is not None:
            check(not self.train.packed, "train.ip_adapter: is learnt for one style; leave it out with train.packed")
            return
        overrides = [each.ip_adapter for style in self.overrides.values() for each in style.every]
        for drawn in (self.generate.ip_adapter, *overrides):
            learnt = drawn is not None and drawn.learnt
            check(not learnt, "generate.ip_adapter: needs train.ip_adapter, as {}, or weights; set one of them")

    @property
    def frozen_text(self) -> bool:
        """Whether the text encoder stays as it is, so that each caption needs to be encoded once only."""
        return self.text_encoder_lora.r == 0 and self.token is None

    def learns(self, style: str) -> bool:
        """Whether a style is trained. It need not be where its own LoRA weighs 0 in whatever is drawn."""
        own = self.overrides.get(style)
        overrides = () if own is None else (own, *own.prompts.values())
        weights = [self.generate.lora_weight, *(override.lora_weight for override in overrides)]
        beside = self.token is not None or self.train.ip_adapter is not None
        return beside or any(weight is not None and weight != 0 for weight in weights)
