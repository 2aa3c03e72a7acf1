"""Adapters that start from those of a LoRA file: whether the file is one of the LoRA that is to be trained."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isclose
from pathlib import Path
from typing import Optional

import numpy as np

from contest.errors import UserError
from jdart.config.sections.lora import LoraConfig
from jdart.lora.dora import INPUTS, per_output
from jdart.lora.pairs import LoraPair, coverage, require_fit, scale_of

log = logging.getLogger(__name__)
SECTIONS = {"unet": "lora", "text_encoder": "text_encoder_lora"}


@dataclass(frozen=True)
class Start:
    """What training starts from: pairs by network and layer; the vectors (vectors, D) of the style token."""

    pairs: Mapping[str, Mapping[str, LoraPair]] = field(default_factory=dict)
    words: Optional[np.ndarray] = None


def start_pairs(
    path: Path, network: str, pairs: Mapping[str, LoraPair], settings: LoraConfig, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, LoraPair]:
    """The pairs of a file as the adapters that `settings` put on a network with layers of `shapes`.

    A plain LoRA may begin a DoRA. Raises UserError for one that is not to be adapted, or whose rank or scale is another
    than that of `settings`, and for a DoRA where they ask for none.
    """
    where, section = f"lora.init_from: {path}", SECTIONS[network]
    if pairs and settings.r == 0:
        pair = next(iter(pairs.values()))
        raise UserError(f"{where}: adapts the {network} too; set {section}.r: {pair.rank}{_alpha(pair, section)}")
    try:
        require_fit(coverage(shapes, pairs))
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    extra = [layer for layer in pairs if not settings.chosen(layer)]
    if extra:
        raise UserError(
            f"{where}: adapts {len(extra)} layers of the {network} that {section}.target_modules leaves out, "
            f"the first {extra[0]}; add them"
        )
    for layer, pair in pairs.items():
        rank, alpha = settings.rank_of(layer), settings.alpha_of(layer)
        if pair.rank != rank or not isclose(pair.scale, scale_of(alpha, rank, settings.use_rslora), rel_tol=1e-6):
            raise UserError(
                f"{where}: {layer} has rank {pair.rank} and scale {pair.scale:g}, here it is rank {rank} and scale "
                f"{scale_of(alpha, rank, settings.use_rslora):g}; {_cure(pairs, section)}"
            )
        if pair.magnitude is not None and not settings.use_dora:
            raise UserError(f"{where}: {layer} is DoRA; set {section}.use_dora: true")
        if pair.magnitude is not None and pair.magnitude.shape != per_output(pair.b):
            raise UserError(f"{where}: {layer} is DoRA {INPUTS}; merge it into the base (jdart lora merge --into)")
    return {layer: pair.fitted(shapes[layer]) for layer, pair in pairs.items()}


def log_fresh(path: Path, network: str, pairs: Mapping[str, LoraPair], adapted: Sequence[str]) -> None:
    """Say which of the `adapted` layers of a network the file has nothing for, so that they start anew."""
    fresh = [layer for layer in adapted if layer not in pairs]
    if fresh:
        log.warning(
            "lora.init_from: %s: has nothing for %d of the %d layers of the %s, the first %s; they start anew",
            *(path, len(fresh), len(adapted), network, fresh[0]),
        )


def _cure(pairs: Mapping[str, LoraPair], section: str) -> str:
    if len({(pair.rank, pair.scale) for pair in pairs.values()}) > 1:
        return f"set {section}.rank_pattern and {section}.alpha_pattern as jdart lora inspect shows them"
    pair = next(iter(pairs.values()))
    return f"set {section}.r: {pair.rank}{_alpha(pair, section)}"


def _alpha(pair: LoraPair, section: str) -> str:
    """The settings that give the pair its scale, beside its rank."""
    stabilised = f" and {section}.use_rslora: true" if pair.rslora else ""
    return (f" and {section}.lora_alpha: {pair.alpha:g}" if pair.alpha != pair.rank else "") + stabilised
