"""DoRA: a LoRA that also learns how long the rows of the weight are. Source: Liu et al., 2402.09353, as PEFT has it.

A layer's weight W becomes m (W + s B A) / |W + s B A|, s being the pair's scale: m, the magnitude, holds one number
an output, and the norms run over all else. LyCORIS and OneTrainer can also have one an input. A magnitude has the
weight's dimensions, of size 1 where the norm runs: (out, 1), (out, 1, 1, 1); an input's (1, in), (1, in, 1, 1).
"""

from __future__ import annotations

import numpy as np

from contest.errors import UserError

FLOOR = 1e-12  # of a norm, so that a row of zeros stays one
INPUTS = "with a magnitude an input (LyCORIS' wd_on_out=False), which PEFT does not know"


def norms(weight: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The 2-norms of `weight` over the dimensions in which `shape` is 1, float32, of that shape."""
    axes = tuple(axis for axis, size in enumerate(shape) if size == 1)
    return np.sqrt(np.square(weight, dtype=np.float64).sum(axes, keepdims=True)).astype(np.float32)


def per_output(weight: np.ndarray) -> tuple[int, ...]:
    """The shape of the magnitude that PEFT gives to a weight: one number an output."""
    return (len(weight), *[1] * (weight.ndim - 1))


def gain(name: str, magnitude: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """What `weight`, W + s B A of layer `name`, is multiplied by. UserError for what float32 cannot hold."""
    with np.errstate(over="ignore", invalid="ignore"):
        found = np.asarray(magnitude / np.maximum(norms(weight, magnitude.shape), FLOOR), np.float32)
    if not np.isfinite(found).all():
        raise UserError(f"{name}: its DoRA's magnitude is too large for float32; take another file, or train again")
    return found
