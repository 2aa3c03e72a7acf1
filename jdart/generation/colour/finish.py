"""The finished pixels, recoloured towards the palette of the style's pictures: post-processing, which rules may forbid.

Optimal transport of colours, entropic and with a loose end: every colour of the picture goes somewhere, and the palette
takes its shares as exactly as `balance` asks. It is a smooth function from colour to colour, the same all over the
picture: flat areas stay flat, edges stay where they are, and no pixel is dithered.

Sources: Cuturi 2013 (arXiv 1306.0895), Chizat et al. 2018 (1607.05816) for the loose end, Pooladian and Niles-Weed 2021
(2109.12004) for the map of colours that were not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from contest.errors import UserError
from jdart.config import ColourConfig, FinishConfig, GenerateConfig

STEP = 16  # levels: colours of one cell of this side count as one, as in the contest's histogram
ENTROPY = 200.0  # levels squared: colours some 14 levels apart are told apart
LIGHTNESS = 8.0  # a difference in lightness costs this much more, so that a thing keeps its lights and shades
LUMA = np.array([0.299, 0.587, 0.114])  # Rec. 601
_ROUNDS, _SCALINGS = 20, 100  # exact rounds of Sinkhorn's iteration, and quick ones between two of them
_SETTLED = 1e-2  # in units of the entropy
_AT_ONCE = 1 << 21  # distances held at a time


@dataclass(frozen=True, eq=False)
class Colours:
    """Colours (N, 3) float64 in levels, and the share (N,) of the pixels that each stands for."""

    values: np.ndarray
    shares: np.ndarray


def finish_of(settings: GenerateConfig) -> FinishConfig | None:
    """How pictures drawn with `settings` are finished; None where they are left as they are drawn."""
    return None if settings.colour is None else settings.colour.finish


def without_finish(settings: GenerateConfig) -> GenerateConfig:
    """`settings` for a picture that is drawn on, and finished when all is done."""
    if settings.colour is None:
        return settings
    left = replace(settings.colour, finish=None)
    return replace(settings, colour=None if left == ColourConfig() else left)


def finisher(settings: FinishConfig | None, pictures: Iterable[np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """What is done to a drawn picture (H, W, 3) uint8, with a style's `pictures`. UserError when it cannot be done."""
    if settings is None:
        return lambda picture: picture
    target = palette(list(pictures))
    return lambda picture: finished(picture, target, settings)


def palette(pictures: Sequence[np.ndarray]) -> Colours:
    """The colours of all pixels of a style's pictures (S, S, 3) uint8 together. UserError where there is but one."""
    require_colours(pictures, "generate.colour.finish")
    return gathered(np.concatenate([picture.reshape(-1, 3) for picture in pictures]))


def require_colours(pictures: Iterable[np.ndarray], key: str) -> None:
    """UserError, which begins with `key`, where all pixels of a style's pictures (S, S, 3) uint8 are of one colour.

    No more of them are read than needed.
    """
    least, most = np.full(3, 255), np.zeros(3)
    for picture in pictures:
        pixels = picture.reshape(-1, 3)
        least, most = np.minimum(least, pixels.min(axis=0)), np.maximum(most, pixels.max(axis=0))
        if (most - least >= STEP).any():
            return
    raise UserError(
        f"{key}: the style's pictures have one colour only, and so would every picture that takes theirs; "
        "leave it out, or add pictures"
    )


def gathered(pixels: np.ndarray) -> Colours:
    """The colours of pixels (N, 3) uint8, those of a cell as their mean."""
    _, cells, counts = np.unique(_numbers(pixels // STEP), return_inverse=True, return_counts=True)
    sums = [np.bincount(cells, pixels[:, channel].astype(np.float64)) for channel in range(3)]
    return Colours(np.stack(sums, axis=1) / counts[:, None], counts / len(pixels))


def finished(picture: np.ndarray, target: Colours, settings: FinishConfig) -> np.ndarray:
    """The picture (H, W, 3) uint8 with every pixel brought `settings.strength` of the way to its place in `target`."""
    pixels = picture.reshape(-1, 3)
    potential = sinkhorn(gathered(pixels), target, settings.balance)
    _, first, places = np.unique(_numbers(pixels), return_index=True, return_inverse=True)
    colours = pixels[first]
    rows = max(1, _AT_ONCE // len(target.shares))
    moved = [transported(colours[i : i + rows], target, potential) for i in range(0, len(colours), rows)]
    brought = colours + settings.strength * (np.concatenate(moved) - colours)
    return np.rint(brought).astype(np.uint8)[places].reshape(picture.shape)


def sinkhorn(source: Colours, target: Colours, balance: float, entropy: float = ENTROPY) -> np.ndarray:
    """The potential (N,) of the target's colours, in levels squared.

    At `balance` 1 the plan gives each of them its share. Below, a share that is not met costs its Kullback-Leibler
    divergence times `entropy` balance / (1 - balance); at 0 every colour goes to those near it.
    """
    cost = distances(source.values, target.values)
    given, wanted = np.log(source.shares)[:, None], np.log(target.shares)
    potential = np.zeros(len(target.shares))
    for _ in range(_ROUNDS):
        other = -entropy * _log_sum((potential - cost) / entropy + wanted, axis=1)[:, None]
        renewed = -entropy * balance * _log_sum((other - cost) / entropy + given, axis=0)
        change, potential = np.abs(renewed - potential).max(), renewed
        if change < _SETTLED * entropy:
            break
        plan = np.exp((other + potential - cost) / entropy + given + wanted)
        kept = np.exp((balance - 1) * potential / entropy)
        potential = potential + entropy * np.log(_scaling(plan, source.shares, target.shares, balance, kept))
    return potential


def _scaling(plan: np.ndarray, given: np.ndarray, wanted: np.ndarray, balance: float, kept: np.ndarray) -> np.ndarray:
    """Factors of the plan's columns: many rounds without a logarithm, from where an exact one left it."""
    least = np.finfo(np.float64).tiny  # a column may be too far from everything for float64; an exact round mends it
    columns = np.ones(len(wanted))
    for _ in range(_SCALINGS):
        rows = given / np.maximum(plan @ columns, least)
        columns = (wanted / np.maximum(rows @ plan, least)) ** balance * kept
    return np.maximum(columns, least)


def transported(colours: np.ndarray, target: Colours, potential: np.ndarray, entropy: float = ENTROPY) -> np.ndarray:
    """Where colours (N, 3) go: the mean of those of the target that the plan gives them, (N, 3) float64."""
    weights = (potential - distances(colours, target.values)) / entropy + np.log(target.shares)
    weights = np.exp(weights - weights.max(axis=1, keepdims=True))
    return weights @ target.values / weights.sum(axis=1, keepdims=True)


def distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(N, 3), (M, 3) -> (N, M): squared distances in levels, the part along lightness counted 1 + LIGHTNESS times."""
    axis = LUMA / np.linalg.norm(LUMA)
    stretch = np.eye(3) + (np.sqrt(1 + LIGHTNESS) - 1) * np.outer(axis, axis)
    one, other = one @ stretch, other @ stretch
    return (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1)[None, :] - 2 * one @ other.T


def _numbers(pixels: np.ndarray) -> np.ndarray:
    """One whole number for each colour (N, 3) uint8; numpy sorts numbers far faster than rows."""
    return pixels.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])


def _log_sum(values: np.ndarray, axis: int) -> np.ndarray:
    """log of the sum of exp, without overflow."""
    most = values.max(axis=axis, keepdims=True)
    return (most + np.log(np.exp(values - most).sum(axis=axis, keepdims=True))).squeeze(axis)
