"""Pairs as a kohya file must hold them, so that sd-scripts, ComfyUI and diffusers read the same from it.

sd-scripts and ComfyUI read every layer for itself. diffusers (seen in 0.42) turns the names into its old ones and there
loses what differs: it takes the commonest alpha of a network for all its attention layers, and knows a text encoder's
attention by out_proj alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from statistics import mode

import numpy as np

from jdart.lora.pairs import LoraPair

TEXT_ATTENTION = (".q_proj", ".k_proj", ".v_proj", ".out_proj")


def for_kohya(networks: Mapping[str, Mapping[str, LoraPair]]) -> dict[str, Mapping[str, LoraPair]]:
    """Network -> layer -> pair, which add what the given ones add, with one alpha a network and no rsLoRA."""
    even = {network: one_alpha(pairs) for network, pairs in networks.items() if pairs}
    return {network: with_out_proj(pairs) if network == "text_encoder" else pairs for network, pairs in even.items()}


def one_alpha(pairs: Mapping[str, LoraPair]) -> dict[str, LoraPair]:
    """The commonest alpha for all, the rest of each scale in B: exact where that is a power of two.

    Never 0, which means "the rank" to sd-scripts.
    """
    plain = {layer: pair.plain() for layer, pair in pairs.items()}
    alphas = [pair.alpha for pair in plain.values() if pair.alpha != 0]
    alpha = mode(alphas) if alphas else 1.0
    return {layer: _at_alpha(pair, alpha) for layer, pair in plain.items()}


def with_out_proj(pairs: Mapping[str, LoraPair]) -> Mapping[str, LoraPair]:
    """With a pair of zeros for one out_proj, where a text encoder's attention is adapted without any.

    Not beside a DoRA, which diffusers reads from no kohya file.
    """
    attention = [layer for layer, pair in pairs.items() if layer.endswith(TEXT_ATTENTION) and pair.magnitude is None]
    if not attention or any(layer.endswith(".out_proj") for layer in pairs):
        return pairs
    beside = pairs[attention[0]]  # of out_proj's own shape: all four are square
    zeros = LoraPair(np.zeros_like(beside.a), np.zeros_like(beside.b), beside.alpha)
    return {**pairs, f"{attention[0].rpartition('.')[0]}.out_proj": zeros}


def _at_alpha(pair: LoraPair, alpha: float) -> LoraPair:
    if pair.alpha == alpha:
        return pair
    with np.errstate(over="ignore"):  # what became too large is refused when it is written
        b = (pair.alpha / alpha * pair.b.astype(np.float64)).astype(np.float32)
    return replace(pair, b=b, alpha=alpha)
