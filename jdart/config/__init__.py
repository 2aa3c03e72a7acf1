"""What a run does: frozen dataclasses, a module a section, read once from YAML."""

from jdart.config.overrides import PromptOverride, StyleOverride
from jdart.config.reading import from_mapping, load_config, recipes, to_mapping
from jdart.config.said import said
from jdart.config.sections.attention import StyleAlignedConfig, StyleIDConfig, StylePromptingConfig
from jdart.config.sections.base import BaseConfig
from jdart.config.sections.blend import CompositionConfig, StyleBlendConfig
from jdart.config.sections.colour import ColourConfig, ColourGuidanceConfig, FinishConfig, StartConfig, TransportConfig
from jdart.config.sections.data import DataConfig, PriorConfig
from jdart.config.sections.engine import EngineConfig
from jdart.config.sections.generate import GenerateConfig, WeightedLora
from jdart.config.sections.ip_adapter import IPAdapterConfig, IPAdapterTrainConfig, WeightedImage, WeightedLayer
from jdart.config.sections.lora import TEXT_TARGETS, UNET_TARGETS, LoraConfig, TextLoraConfig
from jdart.config.sections.memory import MemoryConfig
from jdart.config.sections.search import DraftConfig, PruneConfig, SearchConfig
from jdart.config.sections.token import TokenConfig
from jdart.config.sections.train import TrainConfig
from jdart.config.sections.validation import ValidationConfig
from jdart.config.whole import Config, ScoreConfig

__all__ = [
    "TEXT_TARGETS",
    "UNET_TARGETS",
    "BaseConfig",
    "ColourConfig",
    "ColourGuidanceConfig",
    "CompositionConfig",
    "Config",
    "DataConfig",
    "DraftConfig",
    "EngineConfig",
    "FinishConfig",
    "GenerateConfig",
    "IPAdapterConfig",
    "IPAdapterTrainConfig",
    "LoraConfig",
    "MemoryConfig",
    "PriorConfig",
    "PromptOverride",
    "PruneConfig",
    "ScoreConfig",
    "SearchConfig",
    "StartConfig",
    "StyleAlignedConfig",
    "StyleBlendConfig",
    "StyleIDConfig",
    "StyleOverride",
    "StylePromptingConfig",
    "TextLoraConfig",
    "TokenConfig",
    "TrainConfig",
    "TransportConfig",
    "WeightedImage",
    "WeightedLayer",
    "WeightedLora",
    "ValidationConfig",
    "from_mapping",
    "load_config",
    "recipes",
    "said",
    "to_mapping",
]
