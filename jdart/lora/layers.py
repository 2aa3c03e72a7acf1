"""Low-rank adapters on the linear and convolution layers of a network: add them, train them, take them out.

Source: Hu et al., LoRA, 2106.09685; rank-stabilised scale: Kalajdzievski, 2312.03732. Vocabulary and initialisation
are those of PEFT's LoraConfig: `lora_A` (rank, in) is gaussian with deviation 1/rank, `lora_B` (out, rank) is zero, the
sum is scaled by alpha/rank. On a convolution A has the layer's kernel, stride and padding and B is 1x1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jittor as jt
import numpy as np
from jittor import nn

from contest.errors import UserError
from jdart.config.sections.lora import LoraConfig, fits, one_by_one
from jdart.lora.pairs import LoraPair, scale_of
from jdart.models.networks.layers import linear
from jdart.models.paths import at, put


class Adapter(nn.Module):
    """A frozen layer with a trainable low-rank addition. Same shapes in and out as the layer it holds."""

    def __init__(self, layer: nn.Module, a: np.ndarray, b: np.ndarray, alpha: float, dropout: float, rslora: bool):
        self.layer = layer
        self.lora_A = jt.array(a)
        self.lora_B = jt.array(b)
        self.alpha, self.dropout, self.rslora = alpha, dropout, rslora

    def execute(self, x: jt.Var) -> jt.Var:
        dropped = nn.dropout(x, p=self.dropout, is_train=True) if self.dropout > 0 and self.is_training() else x
        return self.layer(x) + self.addition(dropped) * self.scale

    def addition(self, x: jt.Var) -> jt.Var:
        """B A x, not yet scaled."""
        raise NotImplementedError

    @property
    def rank(self) -> int:
        return int(self.lora_A.shape[0])

    @property
    def width(self) -> int:
        """Input features or channels of the layer."""
        return int(self.lora_A.shape[1])

    @property
    def scale(self) -> float:
        return scale_of(self.alpha, self.rank, self.rslora)

    def pair(self) -> LoraPair:
        return LoraPair(self.lora_A.numpy(), self.lora_B.numpy(), self.alpha, self.rslora)


class LoraLinear(Adapter):
    """On a linear layer: A (rank, in), B (out, rank)."""

    def addition(self, x: jt.Var) -> jt.Var:
        return linear(linear(x, self.lora_A), self.lora_B)


class LoraConv(Adapter):
    """On a convolution: A (rank, in, kh, kw), B (out, rank, 1, 1)."""

    def addition(self, x: jt.Var) -> jt.Var:
        down = nn.conv2d(x, self.lora_A, None, self.layer.stride, self.layer.padding, self.layer.dilation)
        return nn.conv2d(down, self.lora_B)


def _kind(layer: Any) -> type[Adapter] | None:
    """The adapter for a layer, or None for a layer that takes none."""
    if isinstance(layer, nn.Linear):
        return LoraLinear
    return LoraConv if isinstance(layer, nn.Conv) and layer.groups == 1 else None


def inject(
    network: Any, settings: LoraConfig, rng: np.random.Generator, start: Mapping[str, LoraPair] | None = None
) -> dict[str, Adapter]:
    """Put an adapter on every layer that `settings` chooses; layer name -> adapter. Without a `start` it is fresh.

    Everything else in the network is frozen. Raises UserError for a rank below 1, or when a target, an exclusion or a
    pattern fits no layer.
    """
    if settings.r < 1:
        raise UserError(f"LoRA rank is {settings.r}; it must be at least 1")
    kinds = {name: kind for name, module in network.named_modules() if (kind := _kind(module)) is not None}
    for key, words in (("target_modules", settings.target_modules), ("exclude_modules", settings.exclude_modules)):
        idle = [word for word, alone in one_by_one(words).items() if not any(fits(name, alone) for name in kinds)]
        if idle:
            hint = " (a text is a regular expression for whole names; a list has the ends of names)"
            raise UserError(
                f"LoRA {key} that fit no linear or convolution layer: {', '.join(idle)}"
                + (hint if isinstance(words, str) else "")
            )
    chosen = [name for name in kinds if settings.chosen(name)]
    if not chosen:
        raise UserError("LoRA exclude_modules leaves no layer of target_modules; name fewer")
    if settings.idle_patterns(chosen):
        raise UserError(
            f"LoRA rank_pattern or alpha_pattern that decides for no adapted layer: {settings.idle_patterns(chosen)}"
        )
    for parameter in network.parameters():
        parameter.stop_grad()
    adapters = {}
    for name in chosen:
        layer, rank = at(network, name), settings.rank_of(name)
        out_width, *in_shape = layer.weight.shape  # in, or in, kh, kw
        a = (rng.standard_normal((rank, *in_shape)) / rank).astype(np.float32)
        b = np.zeros((out_width, rank, *[1] * (len(in_shape) - 1)), np.float32)
        if start is not None and name in start:  # drawn all the same: the other layers are those of a fresh start
            a, b = start[name].a, start[name].b
        adapters[name] = kinds[name](layer, a, b, settings.alpha_of(name), settings.lora_dropout, settings.use_rslora)
        put(network, name, adapters[name])
    return adapters


def remove(network: Any, adapters: Mapping[str, Adapter]) -> None:
    """Put the plain layers back, as they were before `inject`."""
    for name, adapter in adapters.items():
        put(network, name, adapter.layer)
