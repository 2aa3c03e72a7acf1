"""From what an image encoder sees in a picture to tokens beside the text's. Parameter names are those of public files.

Source: Ye et al., IP-Adapter, 2308.06721; the perceiver's layers: Alayrac et al., Flamingo, 2204.14198.
"""

from __future__ import annotations

from collections.abc import Mapping

import jittor as jt
import numpy as np
from jittor import nn

from jdart.models.networks.layers import LayerNorm, Linear, attention

HEAD = 64  # numbers of a head in the perceiver


class Projection(nn.Module):
    """Features of pictures -> (B, tokens, words), `words` being the width of the text's embeddings."""

    hidden = True  # whether it takes all places (B, N, C) of the encoder's last layer but one; else one vector (B, C)
    words: int
    width: int  # C


class BaseProjection(Projection):
    """The base adapter's: a linear layer from the encoder's one vector for a picture."""

    hidden = False

    def __init__(self, width: int, words: int, tokens: int):
        self.width, self.words, self.tokens = width, words, tokens
        self.proj = Linear(width, tokens * words)
        self.norm = LayerNorm(words)

    def execute(self, x: jt.Var) -> jt.Var:
        return self.norm(self.proj(x).reshape((x.shape[0], self.tokens, self.words)))


class FullProjection(Projection):
    """The full adapter's: an MLP on every place; `proj.1` is a GELU, which holds no numbers."""

    def __init__(self, width: int, inner: int, words: int):
        self.width, self.words = width, words
        self.proj = nn.ModuleList([Linear(width, inner), nn.Identity(), Linear(inner, words), LayerNorm(words)])

    def execute(self, x: jt.Var) -> jt.Var:
        return self.proj[3](self.proj[2](nn.gelu(self.proj[0](x))))


class PlusProjection(Projection):
    """The plus adapter's perceiver: learnt queries look at every place and at themselves, layer after layer."""

    def __init__(self, width: int, inner: int, words: int, tokens: int, heads: int, layers: int):
        self.width, self.words = width, words
        self.latents = jt.zeros((1, tokens, inner))
        self.proj_in = Linear(width, inner)
        self.proj_out = Linear(inner, words)
        self.norm_out = LayerNorm(words)
        self.layers = nn.ModuleList(
            [nn.ModuleList([_Perceiver(inner, heads), _feed_forward(inner)]) for _ in range(layers)]
        )

    def execute(self, x: jt.Var) -> jt.Var:
        x = self.proj_in(x)
        latents = self.latents.broadcast((x.shape[0], *self.latents.shape[1:]))
        for perceiver, (norm, widen, _, narrow) in self.layers:
            latents = latents + perceiver(x, latents)
            latents = latents + narrow(nn.gelu(widen(norm(latents))))
        return self.norm_out(self.proj_out(latents))


class _Perceiver(nn.Module):
    def __init__(self, width: int, heads: int):
        self.heads = heads
        self.norm1, self.norm2 = LayerNorm(width), LayerNorm(width)
        self.to_q = Linear(width, heads * HEAD, bias=False)
        self.to_kv = Linear(width, 2 * heads * HEAD, bias=False)
        self.to_out = Linear(heads * HEAD, width, bias=False)

    def execute(self, x: jt.Var, latents: jt.Var) -> jt.Var:
        latents = self.norm2(latents)
        k, v = self.to_kv(jt.concat([self.norm1(x), latents], dim=1)).chunk(2, dim=-1)
        return self.to_out(attention(self.to_q(latents), k, v, self.heads))


def _feed_forward(width: int) -> nn.ModuleList:
    inner = 4 * width
    return nn.ModuleList(
        [LayerNorm(width), Linear(width, inner, bias=False), nn.Identity(), Linear(inner, width, bias=False)]
    )


def projection_for(tensors: Mapping[str, np.ndarray]) -> Projection | None:
    """The network, not yet filled, that a file's tensors of the projection are of; None for none that is known.

    ValueError or KeyError where they are damaged.
    """
    shapes = {name: array.shape for name, array in tensors.items()}
    if "proj.weight" in shapes:
        words = shapes["norm.weight"][0]
        return BaseProjection(shapes["proj.weight"][1], words, shapes["proj.weight"][0] // words)
    if "proj.3.weight" in shapes:
        inner, width = shapes["proj.0.weight"]
        words = shapes["proj.3.weight"][0]
        _require_numbers(tensors, inner * (width + words))
        return FullProjection(width, inner, words)
    if "latents" in shapes:
        _, tokens, inner = shapes["latents"]
        heads, layers = shapes["layers.0.0.to_q.weight"][0] // HEAD, {name.split(".")[1] for name in _layers(shapes)}
        words, width = shapes["proj_out.weight"][0], shapes["proj_in.weight"][1]
        _require_numbers(tensors, inner * (tokens + width + words + len(layers) * (4 * heads * HEAD + 8 * inner)))
        return PlusProjection(width, inner, words, tokens, heads, len(layers))
    return None


def _require_numbers(tensors: Mapping[str, np.ndarray], count: int) -> None:
    """ValueError where a network would need more numbers than its file holds: it is not built, however large."""
    if count > sum(array.size for array in tensors.values()):
        raise ValueError("its sizes do not belong together")


def _layers(names: Mapping[str, object]) -> list[str]:
    return [name for name in names if name.startswith("layers.")]
