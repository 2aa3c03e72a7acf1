"""Decoupled cross-attention: the text and the pictures are looked at apart, and what is seen is added.

Ye et al., IP-Adapter, 2308.06721, eq. 5. The pictures' tokens follow the text's in the context that the UNet is called
with, so that batches, guidance and recomputation carry them along; a context without them is read as ever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import jittor as jt
import numpy as np
from jittor import nn

from contest.errors import UserError
from jdart.config.sections.ip_adapter import WeightedLayer
from jdart.models.networks.layers import Attention, attention, linear
from jdart.models.paths import at, exchanged


@dataclass(frozen=True)
class Looking:
    """How the tokens after the first `words` are looked at: as many to each of the pictures, whose `weights` are these.

    `apart`: each picture by itself; otherwise all in one list, where weight w counts as w copies.
    """

    words: int
    weights: tuple[float, ...]
    apart: bool = False


class DecoupledAttention(nn.Module):
    """A cross-attention that sees the pictures' tokens through keys and values (width, words) of their own."""

    def __init__(self, plain: Attention, key: jt.Var, value: jt.Var, scale: float, looking: Looking):
        self.plain, self.scale, self.looking = plain, scale, looking
        self.to_k_ip, self.to_v_ip = key, value

    def execute(self, x: jt.Var, context: jt.Var) -> jt.Var:
        plain, words = self.plain, self.looking.words
        text = context[:, :words]
        q = plain.to_q(x)
        seen = plain.attend(q, plain.to_k(text), plain.to_v(text))
        if context.shape[1] > words and self.scale != 0:
            images = context[:, words:]
            seen = seen + self._seen(q, linear(images, self.to_k_ip), linear(images, self.to_v_ip)) * self.scale
        return plain.to_out[0](seen)

    def _seen(self, q: jt.Var, k: jt.Var, v: jt.Var) -> jt.Var:
        """What queries (B, N, C) see in the pictures' keys and values (B, M, C)."""
        weights, plain = self.looking.weights, self.plain
        each = k.shape[1] // len(weights)
        if self.looking.apart:
            parts = [slice(first, first + each) for first in range(0, k.shape[1], each)]
            return sum(plain.attend(q, k[:, part], v[:, part]) * weight for part, weight in zip(parts, weights))
        if all(weight == 1 for weight in weights):
            return plain.attend(q, k, v)
        copies = np.log(np.repeat(np.array(weights, np.float32), each))
        mask = jt.array(np.tile(copies, (q.shape[1], 1)))
        return attention(q, k, v, plain.heads, mask, plain.queries_at_once)


def layer_scales(names: Sequence[str], layers: Sequence[WeightedLayer] | None, scale: float) -> dict[str, float]:
    """Name of each cross-attention -> how much it sees: `scale` times the weight of the most exact of `layers`.

    UserError for a layer that the base has not.
    """
    if layers is None:
        return dict.fromkeys(names, scale)
    short = {name: _short(name) for name in names}
    for layer in layers:
        if not any(_within(own, layer.name) for own in short.values()):
            known = ", ".join(short.values())
            raise UserError(f"generate.ip_adapter.layers: {layer.name}; this base's cross-attentions are {known}")
    exact = sorted(layers, key=lambda layer: len(layer.name.split(".")))
    scales = dict.fromkeys(names, 0.0)
    for layer in exact:
        scales.update({name: scale * layer.weight for name, own in short.items() if _within(own, layer.name)})
    return scales


def decoupled(
    unet: Any, pairs: Mapping[str, tuple[jt.Var, jt.Var]], scales: Mapping[str, float], looking: Looking
) -> AbstractContextManager[None]:
    """Let the cross-attentions of `pairs` (name -> key, value) look at pictures while the block lasts."""
    return exchanged(
        unet,
        {name: DecoupledAttention(at(unet, name), *pair, scales[name], looking) for name, pair in pairs.items()},
    )


def _short(name: str) -> str:
    """up_blocks.1.attentions.0.transformer_blocks.0.attn2 -> up.1.0"""
    words = name.split(".")
    return "mid" if words[0] == "mid_block" else f"{words[0].split('_')[0]}.{words[1]}.{words[3]}"


def _within(name: str, layer: str) -> bool:
    return f"{name}.".startswith(f"{layer}.")
