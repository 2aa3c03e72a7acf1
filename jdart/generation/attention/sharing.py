"""Drawing with the self-attention of a reference: one of the style's pictures, inverted, beside what is drawn.

The reference is inverted once, and its latent at every timestep is all that is kept. In each call of the sampler's
model the UNet reads the reference's latent of that timestep first; what its attentions leave lasts until the pictures'
attentions have used it, so that memory holds one timestep's keys and values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Callable

import jittor as jt
import numpy as np

from jdart.config import GenerateConfig
from jdart.config.sections.attention import SharedAttentionConfig, StyleAlignedConfig
from jdart.generation.attention import style_aligned, style_prompting
from jdart.generation.attention.inversion import Unguided, inverted
from jdart.generation.attention.layers import numbered
from jdart.generation.attention.visiting import visited
from jdart.generation.references import References
from jdart.generation.samplers import Model, SamplingPlan
from jdart.models.build import Base
from jdart.models.cut import warn_of_cut
from jdart.models.encode import encode_text
from jdart.models.networks.layers import Attention

Kept = Sequence[jt.Var]  # what one attention leaves of the reference, each (R, ..., C)


@dataclass(frozen=True, eq=False)
class Sharing:
    """What pictures share with one reference while they are drawn, by any sampler's plan."""

    unet: Any
    plan: SamplingPlan
    settings: SharedAttentionConfig
    guides: Callable[[int, int], bool]  # (done, calls) -> whether a batch has both parts there
    names: tuple[str, ...]  # of the attentions
    latents: Mapping[float, jt.Var]  # timestep -> the reference's (1, C, h, w)
    context: np.ndarray  # (R, 77, D): the reference's text for each part of a guided batch: without and with text

    def around(self, model: Model) -> Model:
        """`model`, which calls the UNet, for one run of the plan. A guided batch has R parts of equal size."""
        done = 0

        def output(x: jt.Var, t: float) -> jt.Var:
            nonlocal done
            calls = self.plan.calls
            active, guided, done = self.settings.active(done, calls), self.guides(done, calls), done + 1
            if not active:
                return model(x, t)
            kept = self._read(t, self.context if guided else self.context[-1:])

            def exchange(name: str, layer: Attention, q: jt.Var, k: jt.Var, v: jt.Var) -> jt.Var:
                return self._attend(layer, q, k, v, kept.pop(name))

            with visited(self.unet, self.names, exchange):
                return model(x, t)

        return output

    def _read(self, t: float, context: np.ndarray) -> dict[str, Kept]:
        """What each attention leaves of the reference at timestep t, read with each of the texts (R, 77, D)."""
        kept: dict[str, Kept] = {}
        keep = style_aligned.keep if isinstance(self.settings, StyleAlignedConfig) else style_prompting.keep

        def record(name: str, layer: Attention, q: jt.Var, k: jt.Var, v: jt.Var) -> jt.Var:
            kept[name] = keep(q, k, v)
            return layer.attend(q, k, v)

        parts, latent = len(context), self.latents[t]
        with visited(self.unet, self.names, record):
            self.unet(jt.concat([latent] * parts), np.full(parts, t), jt.array(context))
        jt.sync([part for each in kept.values() for part in each])
        return kept

    def _attend(self, layer: Attention, q: jt.Var, k: jt.Var, v: jt.Var, kept: Kept) -> jt.Var:
        if isinstance(self.settings, StyleAlignedConfig):
            return style_aligned.attend(layer, q, k, v, kept, self.settings)
        return style_prompting.attend(layer, q, kept)


def shared_attention(
    base: Base, plan: SamplingPlan, settings: GenerateConfig, references: References
) -> Callable[[Model], Model]:
    """What to put around each batch's model: a call of the network with `settings`' reference beside it.

    UserError for a reference that is none of the pictures, and for a layer that the base has not.
    """
    shared, name = settings.shared_attention
    if shared is None:
        return lambda model: model
    names = numbered(base.configs["unet"], shared.layers, f"generate.{name}.layers")
    warn_of_cut(base, [(f"generate.{name}.prompt", shared.prompt)])
    picture = references.named(shared.reference, f"generate.{name}.reference")
    latents = inverted(Unguided(base, shared.prompt), jt.array(references.encode(picture)), plan)
    texts = [shared.prompt] if settings.guidance_scale == 1 or shared.prompt == "" else ["", shared.prompt]
    context = np.concatenate([encode_text(base, base.tokens([text])) for text in texts])
    return Sharing(base.unet, plan, shared, settings.guides, names, latents, context).around
