"""StyleID: a picture drawn again by the plain base, with the self-attention of another picture.

Chung, Hyun and Heo, Style Injection in Diffusion, 2312.09008. Both pictures are inverted to noise. From the noise of
the content, with the statistics of the style's noise, DDIM draws anew; in the last self-attentions of the decoder the
keys and values are the style's, and the queries mostly the content's.

Layer i of the paper is up_blocks[i // 3].attentions[i % 3].transformer_blocks[0].attn1. Its layers 7 to 11 are the last
five of a Stable Diffusion UNet, which is how they are counted here: a smaller UNet has others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import jittor as jt
import numpy as np

from jdart.config import StyleIDConfig
from jdart.data.pictures import to_model_range, to_pixels
from jdart.generation.attention.inversion import Unguided, inversion_plan, invert
from jdart.generation.attention.layers import of_the_decoder
from jdart.generation.attention.visiting import visited
from jdart.models.build import Base
from jdart.models.networks.layers import Attention

EPS = 1e-6


@dataclass(frozen=True, eq=False)
class Features:
    """What one picture's inversion leaves: its noise, and by (timestep, layer) the arrays that injection needs.

    float16 in main memory: half a gigabyte for the queries of a picture of 512 pixels and 50 steps, one for the keys
    and values of the style, which all pictures of the style share.
    """

    noise: np.ndarray  # 1,C,h,w
    kept: Mapping[tuple[float, str], tuple[np.ndarray, ...]]


def read_style(base: Base, picture: np.ndarray, settings: StyleIDConfig) -> Features:
    """Noise, keys and values of the style's picture (S, S, 3) uint8."""
    return _read(base, picture, settings, lambda q, k, v: (k, v))


def inject(base: Base, picture: np.ndarray, style: Features, settings: StyleIDConfig) -> np.ndarray:
    """Draw `picture` (S, S, 3) uint8 again in the manner of `style`. `base` is the plain one, without a LoRA."""
    content = _read(base, picture, settings, lambda q, k, v: (q,))
    model = Unguided(base)
    now = 0.0

    def exchange(name: str, layer: Attention, q: jt.Var, k: jt.Var, v: jt.Var) -> jt.Var:
        content_q = jt.array(content.kept[now, name][0].astype(np.float32))
        style_k, style_v = (jt.array(part.astype(np.float32)) for part in style.kept[now, name])
        mixed = content_q * settings.gamma + q * (1 - settings.gamma)
        return layer.attend(mixed * settings.temperature, style_k, style_v)

    def exchanging(x: jt.Var, t: float) -> jt.Var:
        nonlocal now
        now = t
        return model(x, t)

    plan = inversion_plan(base.schedule, settings.steps)
    with jt.no_grad(), visited(base.unet, of_the_decoder(base.unet.config, settings.layers), exchange):
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

    def record(name: str, layer: Attention, q: jt.Var, k: jt.Var, v: jt.Var) -> jt.Var:
        fresh[name] = select(q, k, v)
        return layer.attend(q, k, v)

    plan = inversion_plan(base.schedule, settings.steps)
    with jt.no_grad(), visited(base.unet, of_the_decoder(base.unet.config, settings.layers), record):
        x, _ = base.vae.encode(jt.array(to_model_range(picture)[None]))
        for t, step in zip(reversed(plan.timesteps), invert(Unguided(base), x, plan)):
            x = step
            x.sync()
            kept.update({(t, n): tuple(part.numpy().astype(np.float16) for part in fresh[n]) for n in fresh})
        return Features(x.numpy(), kept)
