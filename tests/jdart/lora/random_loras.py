"""Random LoRAs: which networks, layers, ranks, alphas and scalings they have is drawn, their numbers follow a seed."""

import numpy as np
from hypothesis import strategies as st

from jdart.lora.pairs import LoraPair

KINDS = {
    "unet": (
        ("to_q", "to_k", "to_v", "to_out.0"),  # the usual targets
        ("to_q", "to_k", "to_v"),
        ("to_q",),
        ("to_k", "ff.net.0.proj", "ff.net.2"),
        ("proj_in", "proj_out"),
        ("conv1", "conv2", "conv_shortcut", "time_emb_proj"),
        ("conv",),  # of the changes of size
        ("conv_in", "conv_out", "linear_1", "linear_2"),
        ("conv_in",),
        ("",),  # every layer
    ),
    "text_encoder": (
        ("q_proj", "k_proj", "v_proj", "out_proj"),
        ("q_proj", "v_proj"),
        ("k_proj",),
        ("out_proj",),
        ("fc1", "fc2"),
        ("fc1",),
        ("q_proj", "fc1"),
        ("out_proj", "fc2"),
        ("",),
    ),
}
PLACES = ("", "mid_block", "layers.1.")  # everywhere, or in a part of the network


@st.composite
def loras(draw, shapes):
    """Network -> layer -> pair for some layers of `shapes`, of one network or both."""
    networks = draw(st.sampled_from((("unet", "text_encoder"), ("unet",), ("text_encoder",))))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    found = {}
    for network in networks:
        kinds = draw(st.sampled_from(KINDS[network]))
        place = draw(st.sampled_from(PLACES))
        chosen = [name for name in shapes[network] if name.endswith(kinds)]
        chosen = [name for name in chosen if place in name] or chosen[: draw(st.integers(1, 3))]
        ranks = draw(st.lists(st.sampled_from((1, 3, 4, 8)), min_size=1, max_size=2))
        alphas = draw(st.lists(st.sampled_from((None, 4.0, 1.0, 6.0, 0.3)), min_size=1, max_size=3))
        scalings = draw(st.sampled_from(((False,), (True,), (False, True))))
        found[network] = {}
        for name in chosen:
            rank, alpha = (values[rng.integers(len(values))] for values in (ranks, alphas))
            rslora = scalings[rng.integers(len(scalings))]
            alpha = float(rank if alpha is None else alpha)
            found[network][name] = random_pair(rng, shapes[network][name], rank, alpha, rslora)
    return found


def random_pair(rng, shape, rank, alpha, rslora=False):
    out, *inner = shape
    a = rng.standard_normal((rank, *inner)).astype(np.float32) * 0.1
    b = rng.standard_normal((out, rank) + (1,) * (len(inner) - 1)).astype(np.float32) * 0.1
    return LoraPair(a, b, alpha, rslora)
