"""StyleBlend: a picture in two branches, one in the style's texture and one in its composition, which share attention.

Chen et al., StyleBlend, 2502.09064. Both branches start from the same noise. In the middle self-attentions the
composition's queries stand for the texture's; in the others the texture's keys and values stand for the composition's;
in each case it is those of the half with text, for the half without too. The texture's branch is the picture.

A batch of B pictures is one of 2 B latents: the textures, then the compositions. Nothing of the network is kept, so
that memory is that of a batch twice as large. Where the published code weighs the LoRA less in the composition's
queries, keys and values only, here it is so in every layer that the LoRA adapts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jittor as jt
import numpy as np
from jittor import nn

from jdart.config import GenerateConfig, StyleBlendConfig
from jdart.generation.adapters import Adapter, adapted
from jdart.generation.attention.layers import self_attentions
from jdart.generation.attention.requirements import outer, weighable
from jdart.generation.attention.visiting import visited
from jdart.generation.guided import Guided
from jdart.generation.samplers import Model, SamplingPlan
from jdart.lora.layers import Adapter as Layer
from jdart.lora.layers import adapter_kind
from jdart.models.build import Base
from jdart.models.encode import encode_text
from jdart.models.networks.layers import Attention
from jdart.models.paths import at, exchanged

TEXTURE, COMPOSITION = 0, 1  # the branches, in the order of their rows


@dataclass(frozen=True, eq=False)
class Composition:
    """What the branch of the composition is told: every text of it (77, D) float32, and whose LoRAs it weighs less.

    `lora` is the text encoder's by which the texts are encoded.
    """

    lora: Path
    texts: Mapping[str, np.ndarray]
    adapters: tuple[Adapter, ...]


def read_composition(base: Base, texts: Sequence[str], lora: Path, adapters: Sequence[Adapter]) -> Composition:
    """Encode texts by the plain base with the composition's LoRA; `adapters` are those that pictures are drawn with."""
    with adapted(base, (Adapter(lora),)):
        found = {text: encode_text(base, base.tokens([text]))[0] for text in dict.fromkeys(texts)}
    return Composition(lora, found, tuple(adapters))


class Blending:
    """The two branches while they are drawn: how far a run is, and how many pictures a batch has.

    The rows of a batch are [textures, compositions], with guidance twice: without text, with text.
    """

    def __init__(self, base: Base, settings: StyleBlendConfig, texts: Mapping[str, np.ndarray]):
        self.base, self.settings, self.texts, self.share = base, settings, texts, 0.0
        self.pictures = 1  # of the batch that is drawn
        self.outer = outer(self_attentions(base.configs["unet"]), settings)

    def guided(
        self,
        plan: SamplingPlan,
        texts: Sequence[str],
        textures: np.ndarray,
        negative: np.ndarray,
        whole: GenerateConfig,
        interval: int = 1,
    ) -> Model:
        """The guided UNet for one run of `plan` on both branches of some pictures.

        `texts` are the compositions'; `textures` and `negative` are the embeddings (B, 77, D) of the other branch.
        """
        self.pictures = len(texts)
        context = np.concatenate([textures, np.stack([self.texts[text] for text in texts])])
        plain = np.stack([self.texts[whole.negative_prompt]] * len(texts))
        model = Guided(self.base, context, np.concatenate([negative, plain]), whole, plan.calls, interval)
        done = 0

        def output(x: jt.Var, t: float) -> jt.Var:
            nonlocal done
            self.share, done = done / plan.calls, done + 1
            return model(x, t)

        return output

    def attend(self, name: str, layer: Attention, q: jt.Var, k: jt.Var, v: jt.Var) -> jt.Var:
        """What a self-attention attends to (rows, N, C), with queries, keys and values as the branches share them."""
        if name not in self.outer and self.share < self.settings.queries_until:
            q = self._lent(q, COMPOSITION)
        if name in self.outer and self.share < self.settings.keys_values_until:
            k, v = self._lent(k, TEXTURE), self._lent(v, TEXTURE)
        return layer.attend(q, k, v)

    def _lent(self, x: jt.Var, giver: int) -> jt.Var:
        """`x` with what the branch `giver` has with text in all rows of the other branch."""
        starts = range(0, x.shape[0], self.pictures)
        parts = [x[start : start + self.pictures] for start in starts]
        given = parts[giver - 2]
        return jt.concat([part if number % 2 == giver else given for number, part in enumerate(parts)])


@contextmanager
def two_branches(
    base: Base, composition: Composition | None, settings: StyleBlendConfig | None
) -> Iterator[Blending | None]:
    """The base drawing batches of two branches for the length of a block; as it is, and None, without a composition."""
    if composition is None or settings is None:
        yield None
        return
    blending = Blending(base, settings, composition.texts)
    more = _weighed_less(base.unet, composition.adapters, settings.lora_weight)
    weighed = {name: _InRows(at(base.unet, name), own, blending) for name, own in more.items()}
    names = self_attentions(base.configs["unet"])
    with exchanged(base.unet, weighed), visited(base.unet, names, blending.attend):
        yield blending


def _weighed_less(unet: Any, adapters: Sequence[Adapter], weight: float) -> dict[str, list[tuple[Layer, float]]]:
    """Layer name -> the LoRAs that are merged there, each with what more of it makes `weight` of the whole."""
    found: dict[str, list[tuple[Layer, float]]] = {}
    for adapter in adapters:
        for name, pair in weighable(adapter.path).items():
            layer = at(unet, name)
            kind = adapter_kind(layer)
            assert kind is not None  # it is merged into that layer
            plain = kind(layer, pair.fitted(tuple(layer.weight.shape)), 0.0)
            found.setdefault(name, []).append((plain, adapter.weight * pair.scale * (weight - 1)))
    return found


class _InRows(nn.Module):
    """A layer with something added in the composition's rows."""

    def __init__(self, layer: nn.Module, more: Sequence[tuple[Layer, float]], blending: Blending):
        self.layer, self.more, self.blending = layer, more, blending

    def execute(self, x: jt.Var) -> jt.Var:
        out = self.layer(x)
        count = self.blending.pictures
        for start in range(count, x.shape[0], 2 * count):
            rows = slice(start, start + count)
            for adapter, factor in self.more:
                out[rows] = out[rows] + adapter.addition(x[rows]) * factor
        return out
