"""Settings that were given and do nothing beside the others that were given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jdart.config.sections.colour import ColourConfig, ColourGuidanceConfig
from jdart.config.sections.data import DataConfig, PriorConfig
from jdart.config.sections.generate import GenerateConfig
from jdart.config.sections.ip_adapter import IPAdapterConfig
from jdart.config.sections.lora import TextLoraConfig
from jdart.config.sections.train import TrainConfig
from jdart.config.sections.validation import ValidationConfig
from jdart.config.whole import Config

PRIOR = ("images_per_prompt", "steps", "pool")
LOOKS = ("images", "prompts", "loss_batches", "patience", "min_delta")


def idle_settings(config: Config) -> list[str]:
    """One line for each setting that differs from its default and changes nothing: which, why, what would."""
    train, generate = config.train, config.generate
    default = TrainConfig()
    said: list[str] = []
    if not config.prior.used:
        said += _given(config.prior, PriorConfig(), PRIOR, "prior", "without prior.weight or prior.mixture")
        if generate.origin_scale == 0 and not _origin(config):
            said += _given(config.data, DataConfig(), ("prior_template",), "data", "without a prior or origin_scale")
    if config.text_encoder_lora.r == 0:
        names = [name for name in vars(config.text_encoder_lora) if name != "r"]
        said += _given(config.text_encoder_lora, TextLoraConfig(), names, "text_encoder_lora", "with r: 0")
        said += _given(train, default, ("text_encoder_learning_rate",), "train", "with text_encoder_lora.r: 0")
    falling = config.lora.rank_by_noise
    if falling is not None and falling.min == max([config.lora.r, *config.lora.rank_pattern.values()]):
        said.append(f"lora.rank_by_noise: does nothing with min: {falling.min}, which is the rank")
    if train.lr_scheduler == "constant":
        reason = "with lr_scheduler: constant; take constant_with_warmup"
        said += _given(train, default, ("lr_warmup_steps",), "train", reason)
    if train.style_loss_weight == 0:
        said += _given(train, default, ("style_loss_max_timestep",), "train", "with style_loss_weight: 0")
    if train.timesteps == "uniform":
        said += _given(train, default, ("log_snr_mean", "log_snr_std"), "train", "with timesteps: uniform")
    if config.validation.steps is None:
        said += _given(config.validation, ValidationConfig(), LOOKS, "validation", "without validation.steps")
    elif config.validation.patience is None:
        said += _given(config.validation, ValidationConfig(), ("min_delta",), "validation", "without patience")
    if generate.guidance_scale == 1 and not _guided(config):
        words = ("negative_prompt", "guidance_rescale", "guidance_interval")
        said += _given(generate, GenerateConfig(), words, "generate", "with guidance_scale: 1")
    if generate.guidance_interval == (0, 1):
        said.append("generate.guidance_interval: [0, 1] does nothing; it is every step")
    if generate.start is not None and generate.start.mean == 0 and generate.start.leak is None:
        said.append("generate.start: does nothing with mean: 0 and leak: null; take another mean, or a leak")
    if generate.ip_adapter is not None and generate.ip_adapter.scale == 0:
        said.append("generate.ip_adapter: does nothing with scale: 0")
    blend = generate.style_blend
    if blend is None and train.composition is not None:
        said.append("train.composition: is learnt, and nothing is drawn with it without generate.style_blend")
    if train.ip_adapter is not None and not any(each.learnt for each in _image_prompts(config)):
        cure = "generate.ip_adapter: {encoder: dino}"
        said.append(f"train.ip_adapter: is learnt, and nothing is drawn with it without {cure}")
    if blend is not None and blend.queries_until == blend.keys_values_until == 0:
        said.append("generate.style_blend: does nothing with queries_until and keys_values_until at 0")
    guidance = None if generate.colour is None else generate.colour.guidance
    if guidance is not None:
        idle, why = "rotations" if guidance.matching == "entropic" else "balance", f"with matching: {guidance.matching}"
        said += _given(guidance, ColourGuidanceConfig(), (idle,), "generate.colour.guidance", why)
    if generate.colour == ColourConfig():
        said.append("generate.colour: does nothing without transport, guidance or finish in it")
    return said


def contrary_settings(config: Config) -> list[str]:
    """One line for each pair of settings that undo each other's work."""
    train = config.train
    if train.timesteps == "uniform" or train.snr_gamma is None:
        return []
    return [
        f"train.snr_gamma: {train.snr_gamma:g} weighs the noise levels that train.timesteps: {train.timesteps} "
        "has chosen already; leave one of the two out"
    ]


def idle_overrides(config: Config, drawn: tuple[str, ...]) -> list[str]:
    """One line for each override of a style that is not among those that are `drawn`."""
    return [f"overrides.{style}: not used, the style is not drawn" for style in config.overrides if style not in drawn]


def _given(section: object, default: object, names: Sequence[str], title: str, why: str) -> Iterator[str]:
    for name in names:
        value = getattr(section, name)
        if value != getattr(default, name):
            yield f"{title}.{name}: {value!r} does nothing {why}"


def _image_prompts(config: Config) -> list[IPAdapterConfig]:
    """The image prompts of the run and of its overrides."""
    overrides = [each.ip_adapter for own in config.overrides.values() for each in own.every]
    return [each for each in (config.generate.ip_adapter, *overrides) if each is not None]


def _origin(config: Config) -> bool:
    """Whether an override mixes the plain prompt in."""
    return any(each.origin_scale not in (None, 0) for own in config.overrides.values() for each in own.every)


def _guided(config: Config) -> bool:
    """Whether an override has a guidance scale of its own."""
    return any(each.guidance_scale not in (None, 1) for own in config.overrides.values() for each in own.every)
