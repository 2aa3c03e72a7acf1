"""The random draws of a run, each from its own stream."""

from __future__ import annotations

import hashlib
import json

import numpy as np


def image_seed(style: str, prompt: str, base_seed: int, candidate: int = 0) -> int:
    """The seed of one picture, 0 to 2**32 - 1: the same on every machine, in any order and batch size.

    `candidate` counts further pictures of the same prompt.
    """
    further = (candidate,) if candidate > 0 else ()
    return int.from_bytes(_digest("image", style, prompt, base_seed, *further)[:4], "big")


def rng_for(*key: str | int) -> np.random.Generator:
    """A generator of its own for `key`, the same on every machine.

    Name the purpose in the key, as in rng_for("vae sample", seed) and rng_for("noise", seed): draws for
    different purposes must not share a stream, or the VAE's sample equals the diffusion noise.
    """
    return np.random.default_rng(int.from_bytes(_digest(*key), "big"))


def _digest(*key: str | int) -> bytes:
    return hashlib.sha256(json.dumps(key).encode()).digest()
