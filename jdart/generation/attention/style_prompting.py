"""Visual style prompting: in late self-attentions a picture's queries look at the reference's keys and values alone.

Jeong et al., Visual Style Prompting with Swapping Self-Attention, 2402.12974. The layers and steps of the settings'
defaults are those that the entry of .4721 on board B used: 24 to 30 of 32 attentions, the even ones of which are
self-attentions, in steps 10 to 49 of 50.
"""

from __future__ import annotations

from collections.abc import Sequence

import jittor as jt

from jdart.models.networks.layers import Attention


def keep(q: jt.Var, k: jt.Var, v: jt.Var) -> tuple[jt.Var, ...]:
    """Of the reference's (R, N, C): keys and values."""
    return k, v


def attend(layer: Attention, q: jt.Var, kept: Sequence[jt.Var]) -> jt.Var:
    """What queries (B, N, C) see in what is `kept` of the reference; R divides B, as in StyleAligned."""
    k, v = kept
    return layer.attend(q.reshape((k.shape[0], -1, q.shape[2])), k, v).reshape(q.shape)
