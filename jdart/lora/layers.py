"""Low-rank adapters on the linear and convolution layers of a network: add them, train them, take them out.

Source: Hu et al., LoRA, 2106.09685; rank-stabilised scale: Kalajdzievski, 2312.03732; magnitudes: Liu et al., DoRA,
2402.09353. Vocabulary and initialisation are those of PEFT's LoraConfig: `lora_A` (rank, in) is gaussian with deviation
1/rank, `lora_B` (out, rank) is zero, the sum is scaled by alpha/rank, `lora_magnitude_vector` is the norm of the weight
with the two in it. On a convolution A has the layer's kernel, stride and padding and B is 1x1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jittor as jt
import numpy as np
from jittor import nn

from contest.errors import UserError
from jdart.config.sections.lora import LoraConfig, fits, one_by_one
from jdart.lora.dora import FLOOR, norms, per_output
from jdart.lora.pairs import LoraPair
from jdart.models.networks.layers import conv2d, linear
from jdart.models.paths import at, put


class Adapter(nn.Module):
    """A frozen layer with a trainable low-rank addition. Same shapes in and out as the layer it holds."""

    def __init__(self, layer: nn.Module, pair: LoraPair, dropout: float):
        self.layer = layer
        self.lora_A = jt.array(pair.a)
        self.lora_B = jt.array(pair.b)
        self.scale, self.alpha, self.dropout, self.rslora = pair.scale, pair.alpha, dropout, pair.rslora
        self.ranks: Any = None  # a NoiseRanks while the ranks fall with the noise (jdart.lora.noise_ranks)
        self.lora_magnitude_vector = None if pair.magnitude is None else self.of_outputs(jt.array(pair.magnitude))

    def execute(self, x: jt.Var) -> jt.Var:
        dropping = self.dropout > 0 and self.is_training()
        dropped = nn.dropout(x, p=self.dropout, is_train=True) if dropping else x
        plain, added = self.layer(x), self.addition(dropped) * self.scale
        if self.lora_magnitude_vector is None:
            return plain + added
        bias, ratio = self.layer.bias, self.ratio()
        if dropping:
            unbiased = self.unbiased(dropped)
        else:
            unbiased = plain if bias is None else plain - self.of_outputs(bias)
        return plain + (ratio - 1) * unbiased + ratio * added

    def ratio(self) -> jt.Var:
        """Magnitude over the norm of W + s B A, which takes no gradient (section 4.3 of DoRA); one number an output."""
        a, b = self.lora_A.detach(), self.lora_B.detach()
        product = jt.matmul(b.reshape((b.shape[0], -1)), a.reshape((a.shape[0], -1)))
        weight = self.layer.weight.float32().reshape(product.shape) + product * self.scale
        norm = jt.maximum(jt.sqrt((weight * weight).sum(1)), FLOOR)
        return self.lora_magnitude_vector / self.of_outputs(norm.detach())

    def addition(self, x: jt.Var) -> jt.Var:
        """B A x, not yet scaled."""
        raise NotImplementedError

    def unbiased(self, x: jt.Var) -> jt.Var:
        """What the layer gives without its bias."""
        raise NotImplementedError

    def of_outputs(self, values: jt.Var) -> jt.Var:
        """One number an output in the shape that multiplies what the layer gives, which is PEFT's of a magnitude."""
        raise NotImplementedError

    def counting(self, down: jt.Var, axis: int) -> jt.Var:
        """A x, (B, ...) with the ranks along `axis`, without the ranks that the noise leaves out."""
        if self.ranks is None:
            return down
        shape = [1] * down.ndim
        shape[0], shape[axis] = down.shape[0], self.rank
        return down * self.ranks.mask(self.rank).reshape(shape)

    @property
    def rank(self) -> int:
        return int(self.lora_A.shape[0])

    @property
    def width(self) -> int:
        """Input features or channels of the layer."""
        return int(self.lora_A.shape[1])

    def pair(self) -> LoraPair:
        a, b, m = self.lora_A.numpy(), self.lora_B.numpy(), self.lora_magnitude_vector
        return LoraPair(a, b, self.alpha, self.rslora, m if m is None else m.numpy().reshape(per_output(b)))


class LoraLinear(Adapter):
    """On a linear layer: A (rank, in), B (out, rank), magnitude (out)."""

    def addition(self, x: jt.Var) -> jt.Var:
        return linear(self.counting(linear(x, self.lora_A), -1), self.lora_B)

    def unbiased(self, x: jt.Var) -> jt.Var:
        return linear(x, self.layer.weight)

    def of_outputs(self, values: jt.Var) -> jt.Var:
        return values.reshape((-1,))


class LoraConv(Adapter):
    """On a convolution: A (rank, in, kh, kw), B (out, rank, 1, 1), magnitude (1, out, 1, 1)."""

    def addition(self, x: jt.Var) -> jt.Var:
        return conv2d(self.counting(self._convolved(x, self.lora_A), 1), self.lora_B, None, (1, 1), (0, 0), (1, 1))

    def unbiased(self, x: jt.Var) -> jt.Var:
        return self._convolved(x, self.layer.weight)

    def of_outputs(self, values: jt.Var) -> jt.Var:
        return values.reshape((1, -1, 1, 1))

    def _convolved(self, x: jt.Var, weight: jt.Var) -> jt.Var:
        return conv2d(x, weight, None, self.layer.stride, self.layer.padding, self.layer.dilation)


def adapter_kind(layer: Any) -> type[Adapter] | None:
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
    kinds = {name: kind for name, module in network.named_modules() if (kind := adapter_kind(module)) is not None}
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
        pair = LoraPair(a, b, settings.alpha_of(name), settings.use_rslora)
        if start is not None and name in start:  # drawn all the same: the other layers are those of a fresh start
            pair = replace(pair, a=start[name].a, b=start[name].b, magnitude=start[name].magnitude)
        if settings.use_dora and pair.magnitude is None:
            weight = layer.weight.float32().numpy() + pair.delta
            pair = replace(pair, magnitude=norms(weight, per_output(weight)))
        adapters[name] = kinds[name](layer, pair, settings.lora_dropout)
        put(network, name, adapters[name])
    return adapters


def remove(network: Any, adapters: Mapping[str, Adapter]) -> None:
    """Put the plain layers back, as they were before `inject`."""
    for name, adapter in adapters.items():
        put(network, name, adapter.layer)
