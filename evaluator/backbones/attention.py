"""What the transformers here share: multi-head attention over projections, and OpenAI's GELU."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

_ROWS = 256  # 4 MB of ViT-L/14's hidden layer


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int, causal: bool = False) -> Tensor:
    """softmax(QK'/sqrt(d))V per head. query B,Q,C; key and value B,K,C; result B,Q,C."""

    def split(x: Tensor) -> Tensor:
        return x.unflatten(-1, (heads, -1)).transpose(1, 2)  # B,heads,L,C/heads

    mixed = functional.scaled_dot_product_attention(split(query), split(key), split(value), is_causal=causal)
    return mixed.transpose(1, 2).flatten(2)


def quick_gelu_(x: Tensor) -> Tensor:
    """OpenAI's approximation of GELU, x * sigmoid(1.702 x), in place; x ...,C.

    Some rows at a time: what lies between stays in the caches and takes no memory of x's size.
    """
    for part in x.flatten(0, -2).split(_ROWS):
        part.mul_((1.702 * part).sigmoid_())
    return x
