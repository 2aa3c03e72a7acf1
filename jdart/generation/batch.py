"""Pictures on their way from noise, some of which may stop before the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import jittor as jt
import numpy as np

from jdart.data.pictures import to_pixels
from jdart.generation.samplers import Model, SamplingPlan
from jdart.models.schedule import Array

if TYPE_CHECKING:
    from jdart.models.networks.vae import VAE

Narrow = Callable[[Sequence[int]], None]  # rows of a batch -> None: from now on there are only these


@dataclass(frozen=True)
class Request:
    """One picture to draw: its name, the text it is drawn from and its own seed.

    `plain` is the text without the style, which `origin_scale` above 0 mixes in.
    """

    name: str
    prompt: str
    seed: int
    plain: str | None = None
    composition: str | None = None  # the text of the other branch of StyleBlend


class Batch:
    """A batch of B `requests` in one run of a plan. Its `latents` may have more rows than pictures, which come first.

    Rows that were dropped stay in the sampler's arithmetic and never reach the network again.
    """

    def __init__(
        self,
        vae: VAE,
        plan: SamplingPlan,
        requests: Sequence[Request],
        model: Model,
        latents: jt.Var,
        narrow: Narrow,
    ):
        """`narrow` tells what `model` is made of which rows are left."""
        self.requests = list(requests)
        self._vae, self._model, self._latents, self._narrow = vae, model, latents, narrow
        self._rows: Sequence[int] | None = None  # None: all
        self._run = plan.run(self._output, latents)

    def advance(self, steps: int | None = None) -> None:
        """Do so many steps; None: all that are left."""
        for latents in islice(self._run, steps):
            latents.sync()
            self._latents = latents

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows of the batch alone, once; those of the others keep what they have."""
        if self._rows is not None:
            raise ValueError("a batch is narrowed once")
        self._narrow(rows)
        self._rows, self.requests = list(rows), [self.requests[row] for row in rows]

    def pictures(self) -> list[np.ndarray]:
        """What the latents of each request are now, (S, S, 3) uint8."""
        rows = range(len(self.requests)) if self._rows is None else self._rows
        return decoded(self._vae, _taken(self._latents, rows))

    def _output(self, x: jt.Var, t: float) -> Array:
        if self._rows is None:
            return self._model(x, t)
        out = self._model(_taken(x, self._rows), t)
        places = {row: place for place, row in enumerate(self._rows)}
        still = jt.zeros_like(x[:1])  # where a dropped row takes its output from
        return _taken(jt.concat([out, still]), [places.get(row, len(places)) for row in range(x.shape[0])])


def decoded(vae: VAE, latents: jt.Var) -> list[np.ndarray]:
    """Latents (B, C, h, w) as B pictures (S, S, 3) uint8."""
    jt.gc()  # what the UNet worked in: at full size the decoder asks for most, and for other sizes
    return [to_pixels(picture) for picture in vae.decode(latents).numpy()]


def _taken(x: jt.Var, rows: Sequence[int]) -> jt.Var:
    """These rows of x, in this order; one kernel for any number of them."""
    if list(rows) == list(range(len(rows))):
        return x[: len(rows)]
    return x[jt.array(np.array(rows, np.int32))]
