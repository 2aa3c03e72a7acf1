"""StyleID: a picture drawn again by the plain base, with the self-attention of another picture.

Chung, Hyun and Heo, Style Injection in Diffusion, 2312.09008. Both pictures are inverted to noise. From the noise of
the content, with the statistics of the style's noise, DDIM draws anew; in the last self-attentions of the decoder the
keys and values are the style's, and the queries mostly the content's.

Layer i of the paper is up_blocks[i // 3].attentions[i % 3].transformer_blocks[0].attn1. Its layers 7 to 11 are the last
five of a Stable Diffusion UNet, which is how they are counted here: a smaller UNet has others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import jittor as jt
import numpy as np
from jittor import nn

from jdart.config import StyleIDConfig
from jdart.data.pictures import to_model_range, to_pixels
from jdart.generation.attention.inversion import Unguided, inversion_plan, invert
from jdart.models.build import Base
from jdart.models.networks.layers import attention
from jdart.models.paths import at, put

Visit = Callable[[str, jt.Var, jt.Var, jt.Var], tuple[jt.Var, jt.Var, jt.Var]]
EPS = 1e-6


@dataclass(frozen=True, eq=False)
class Features:
    """What one picture's inversion leaves: its noise, and by (timestep, layer) the arrays that injection needs.

    float16 in main memory: half a gigabyte for the queries of a picture of 512 pixels and 50 steps, one for the keys
    and values of the style, which all pictures of the style share.
    """

    noise: np.ndarray  # 1,C,h,w
    kept: Mapping[tuple[float, str], tuple[np.ndarray, ...]]


def self_attentions(unet: Any, count: int) -> list[str]:
    """Names of the last `count` self-attentions of the decoder, or of all where there are fewer."""
    names = [
        f"up_blocks.{level}.attentions.{i}.transformer_blocks.0.attn1"
        for level, block in enumerate(unet.up_blocks)
        if hasattr(block, "attentions")
        for i in range(len(block.attentions))
    ]
    return names[-count:]


def read_style(base: Base, picture: np.ndarray, settings: StyleIDConfig) -> Features:
    """Noise, keys and values of the style's picture (S, S, 3) uint8."""
    return _read(base, picture, settings, lambda q, k, v: (k, v))


def inject(base: Base, picture: np.ndarray, style: Features, settings: StyleIDConfig) -> np.ndarray:
    """Draw `picture` (S, S, 3) uint8 again in the manner of `style`. `base` is the plain one, without a LoRA."""
    content = _read(base, picture, settings, lambda q, k, v: (q,))
    model = Unguided(base)
    now = 0.0

    def exchange(name: str, q: jt.Var, k: jt.Var, v: jt.Var) -> tuple[jt.Var, jt.Var, jt.Var]:
        content_q = jt.array(content.kept[now, name][0].astype(np.float32))
        style_k, style_v = (jt.array(part.astype(np.float32)) for part in style.kept[now, name])
        mixed = content_q * settings.gamma + q * (1 - settings.gamma)
        return mixed * settings.temperature, style_k, style_v

    def exchanging(x: jt.Var, t: float) -> jt.Var:
        nonlocal now
        now = t
        return model(x, t)

    plan = inversion_plan(base.schedule, settings.steps)
    with jt.no_grad(), visited(base.unet, self_attentions(base.unet, settings.layers), exchange):
        x = jt.array(adain(content.noise, style.noise))
        for step in plan.run(exchanging, x):
            step.sync()
            x = step
        return to_pixels(base.vae.decode(x).numpy()[0])


def adain(content: np.ndarray, style: np.ndarray) -> np.ndarray:
    """`content` (1, C, h, w) with the mean and deviation of `style` in each channel (AdaIN, 1703.06868)."""

    def statistics(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return x.mean((2, 3), keepdims=True), np.sqrt(x.var((2, 3), keepdims=True) + EPS)

    (mean, deviation), (style_mean, style_deviation) = statistics(content), statistics(style)
    return ((content - mean) / deviation * style_deviation + style_mean).astype(np.float32)


def _read(
    base: Base, picture: np.ndarray, settings: StyleIDConfig, select: Callable[..., Sequence[jt.Var]]
) -> Features:
    """Invert `picture` and keep what `select` takes of (q, k, v) at every step."""
    kept: dict[tuple[float, str], tuple[np.ndarray, ...]] = {}
    fresh: dict[str, Sequence[jt.Var]] = {}

    def record(name: str, q: jt.Var, k: jt.Var, v: jt.Var) -> tuple[jt.Var, jt.Var, jt.Var]:
        fresh[name] = select(q, k, v)
        return q, k, v

    plan = inversion_plan(base.schedule, settings.steps)
    with jt.no_grad(), visited(base.unet, self_attentions(base.unet, settings.layers), record):
        x, _ = base.vae.encode(jt.array(to_model_range(picture)[None]))
        for t, step in zip(reversed(plan.timesteps), invert(Unguided(base), x, plan)):
            x = step
            x.sync()
            kept.update({(t, n): tuple(part.numpy().astype(np.float16) for part in fresh[n]) for n in fresh})
        return Features(x.numpy(), kept)


class _Visited(nn.Module):
    """A self-attention whose queries, keys and values pass through `visit` before they meet."""

    def __init__(self, plain: Any, visit: Callable[..., tuple[jt.Var, jt.Var, jt.Var]]):
        self.plain, self.visit = plain, visit

    def execute(self, x: jt.Var) -> jt.Var:
        plain = self.plain
        q, k, v = self.visit(plain.to_q(x), plain.to_k(x), plain.to_v(x))
        return plain.to_out[0](attention(q, k, v, plain.heads))


@contextmanager
def visited(unet: Any, names: Sequence[str], visit: Visit) -> Iterator[None]:
    """Let `visit(name, q, k, v)` see and exchange the parts of the named attentions while the block lasts."""
    plain = {name: at(unet, name) for name in names}
    try:
        for name, module in plain.items():
            put(unet, name, _Visited(module, partial(visit, name)))
        yield
    finally:
        for name, module in plain.items():
            put(unet, name, module)
