"""StyleAligned: a picture attends to the reference's tokens beside its own, in the reference's statistics.

Hertz, Voynov, Fruchter and Cohen-Or, Style Aligned Image Generation via Shared Attention, 2312.02133. With r for the
reference, q' = AdaIN(q, q_r) and k' = AdaIN(k, k_r) over the tokens of each channel, what comes out is
softmax([scale q' k_r^T / sqrt(d) + shift ; q' k'^T / sqrt(d)]) [v_r ; v]. A reference that was inverted gets a shift of
ln 2 (google/style-aligned).

The two lists of keys are attended to one after the other and the results added by the sums of their weights: the
reference's keys are not copied for every picture, and no list of logits is twice as long as in plain drawing.
"""

from __future__ import annotations

from collections.abc import Sequence

import jittor as jt

from jdart.config import StyleAlignedConfig
from jdart.models.networks.layers import Attention, attention_with_sums

EPS = 1e-5


def keep(q: jt.Var, k: jt.Var, v: jt.Var) -> tuple[jt.Var, ...]:
    """Of the reference's (R, N, C): mean and deviation of its queries, its keys and values."""
    return (*statistics(q), k, v)


def attend(
    layer: Attention, q: jt.Var, k: jt.Var, v: jt.Var, kept: Sequence[jt.Var], settings: StyleAlignedConfig
) -> jt.Var:
    """What queries (B, N, C) see in their own keys and in those that are `kept` of the reference: (B, N, C).

    R divides B: each R-th part of the batch looks at a reference of its own.
    """
    mean, deviation, reference_k, reference_v = kept
    if settings.adain:
        q = adain(q, mean, deviation)
        k = adain(k, *statistics(reference_k))
    heads, at_once = layer.heads, layer.queries_at_once
    batch, count, width = q.shape
    parts = reference_k.shape[0]
    own, own_sums = attention_with_sums(q, k, v, heads, at_once)
    other, sums = attention_with_sums(
        q.reshape((parts, -1, width)), reference_k * settings.scale, reference_v, heads, at_once
    )
    sums = sums.reshape((parts, heads, -1, count)).transpose(0, 2, 1, 3).reshape((batch, heads, count))
    share = (sums + settings.shift - own_sums).sigmoid().transpose(0, 2, 1)  # B,N,heads: of the reference's weights
    own, other = own.reshape((batch, count, heads, -1)), other.reshape((batch, count, heads, -1))
    return (own + (other - own) * share.reshape((batch, count, heads, 1))).reshape(q.shape)


def statistics(x: jt.Var) -> tuple[jt.Var, jt.Var]:
    """Mean and deviation (B, 1, C) over the tokens of x (B, N, C)."""
    mean = x.mean(1, keepdims=True)
    centred = x - mean
    return mean, jt.sqrt((centred * centred).mean(1, keepdims=True) + EPS)


def adain(x: jt.Var, mean: jt.Var, deviation: jt.Var) -> jt.Var:
    """x (B, N, C) with the statistics (R, 1, C) of its part of the batch, in each channel (1703.06868)."""
    parts, _, width = mean.shape
    own_mean, own_deviation = statistics(x)
    standard = ((x - own_mean) / own_deviation).reshape((parts, -1, width))
    return (standard * deviation + mean).reshape(x.shape)
