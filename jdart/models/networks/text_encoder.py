"""The CLIP text model that conditions the UNet. Parameter names equal transformers' CLIPTextModel.

Source: Radford et al., Learning Transferable Visual Models From Natural Language Supervision, 2103.00020.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jittor as jt
import numpy as np
from jittor import nn

from contest.errors import UserError
from jdart.models.config import read_config, require_divisor
from jdart.models.networks.layers import LayerNorm, Linear, attention


@dataclass(frozen=True)
class TextConfig:
    """Shape of the network, under the names of transformers' `text_encoder/config.json`."""

    vocab_size: int = 49408
    hidden_size: int = 512
    intermediate_size: int = 2048
    num_hidden_layers: int = 12
    num_attention_heads: int = 8
    max_position_embeddings: int = 77
    hidden_act: str = "quick_gelu"
    layer_norm_eps: float = 1e-5

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> TextConfig:
        """Read transformers' configuration. Raises UserError for an unknown activation."""
        config = read_config(cls, raw, "text encoder", fixed={})
        if config.hidden_act not in ACTIVATIONS:
            raise UserError(f"text encoder: hidden_act {config.hidden_act!r}; supported: {', '.join(ACTIVATIONS)}")
        require_divisor(config.num_attention_heads, [config.hidden_size], "text encoder: num_attention_heads")
        return config


def quick_gelu(x: jt.Var) -> jt.Var:
    """OpenAI's approximation, x * sigmoid(1.702 x)."""
    return x * jt.sigmoid(1.702 * x)


ACTIVATIONS = {"gelu": nn.gelu, "quick_gelu": quick_gelu}


class Embeddings(nn.Module):
    """Token plus position embedding: (B, T) ids -> (B, T, D)."""

    def __init__(self, config: TextConfig):
        self.token_embedding = nn.Embedding(config.vocab_size, config.hidden_size)
        self.position_embedding = nn.Embedding(config.max_position_embeddings, config.hidden_size)

    def execute(self, ids: jt.Var) -> jt.Var:
        return self.token_embedding(ids) + self.position_embedding.weight[: ids.shape[1]]


class SelfAttention(nn.Module):
    """Causal multi-head attention."""

    def __init__(self, config: TextConfig):
        self.heads = config.num_attention_heads
        width = config.hidden_size
        self.k_proj = Linear(width, width)
        self.v_proj = Linear(width, width)
        self.q_proj = Linear(width, width)
        self.out_proj = Linear(width, width)

    def execute(self, x: jt.Var, mask: jt.Var) -> jt.Var:
        return self.out_proj(attention(self.q_proj(x), self.k_proj(x), self.v_proj(x), self.heads, mask))


class MLP(nn.Module):
    """Two linear layers around the configured activation."""

    def __init__(self, config: TextConfig):
        self.activation = ACTIVATIONS[config.hidden_act]
        self.fc1 = Linear(config.hidden_size, config.intermediate_size)
        self.fc2 = Linear(config.intermediate_size, config.hidden_size)

    def execute(self, x: jt.Var) -> jt.Var:
        return self.fc2(self.activation(self.fc1(x)))


class Layer(nn.Module):
    """Attention and MLP, each behind a layer norm and with a shortcut."""

    def __init__(self, config: TextConfig):
        self.self_attn = SelfAttention(config)
        self.layer_norm1 = LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.mlp = MLP(config)
        self.layer_norm2 = LayerNorm(config.hidden_size, config.layer_norm_eps)

    def execute(self, x: jt.Var, mask: jt.Var) -> jt.Var:
        x = x + self.self_attn(self.layer_norm1(x), mask)
        return x + self.mlp(self.layer_norm2(x))


class Encoder(nn.Module):
    """The stack of layers."""

    def __init__(self, config: TextConfig):
        self.layers = nn.ModuleList([Layer(config) for _ in range(config.num_hidden_layers)])

    def execute(self, x: jt.Var, mask: jt.Var, skip: int = 0) -> jt.Var:
        """What comes out of the last layer but `skip`."""
        for layer in list(self.layers)[: len(self.layers) - skip]:
            x = layer(x, mask)
        return x


class TextTransformer(nn.Module):
    """Embeddings, encoder and the final norm."""

    def __init__(self, config: TextConfig):
        self.embeddings = Embeddings(config)
        self.encoder = Encoder(config)
        self.final_layer_norm = LayerNorm(config.hidden_size, config.layer_norm_eps)

    def execute(self, ids: jt.Var, skip: int = 0) -> jt.Var:
        length = ids.shape[1]
        mask = jt.array(np.triu(np.full((length, length), -1e9, np.float32), 1))  # no token sees a later one
        return self.final_layer_norm(self.encoder(self.embeddings(ids), mask, skip))


class TextEncoder(nn.Module):
    """Token ids (B, 77) -> last hidden state after the final norm (B, 77, hidden_size).

    The last `clip_skip` layers are left out; the final norm is not.
    """

    def __init__(self, config: TextConfig, clip_skip: int = 0):
        self.config, self.clip_skip = config, clip_skip
        self.text_model = TextTransformer(config)

    def execute(self, ids: jt.Var) -> jt.Var:
        return self.text_model(ids, self.clip_skip)
