"""What a run does: frozen dataclasses, a module a section, read once from YAML."""

from jdart.config.data import DataConfig, PriorConfig
from jdart.config.generate import GenerateConfig, StyleIDConfig, WeightedLora
from jdart.config.lora import TEXT_TARGETS, UNET_TARGETS, LoraConfig, TextLoraConfig
from jdart.config.memory import MemoryConfig
from jdart.config.overrides import PromptOverride, StyleOverride
from jdart.config.reading import from_mapping, load_config, recipes, to_mapping
from jdart.config.token import TokenConfig
from jdart.config.train import TrainConfig
from jdart.config.validation import ValidationConfig
from jdart.config.whole import BaseConfig, Config, ScoreConfig

__all__ = [
    "TEXT_TARGETS",
    "UNET_TARGETS",
    "BaseConfig",
    "Config",
    "DataConfig",
    "GenerateConfig",
    "LoraConfig",
    "MemoryConfig",
    "PriorConfig",
    "PromptOverride",
    "ScoreConfig",
    "StyleIDConfig",
    "StyleOverride",
    "TextLoraConfig",
    "TokenConfig",
    "TrainConfig",
    "WeightedLora",
    "ValidationConfig",
    "from_mapping",
    "load_config",
    "recipes",
    "to_mapping",
]
