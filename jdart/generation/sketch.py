"""Pictures that rest part of the way: looked at there, and drawn to the end where they are worth it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jittor as jt
import numpy as np

from jdart.config import GenerateConfig
from jdart.generation.batch import Batch, decoded
from jdart.generation.draw import Easel, Request, batches_of
from jdart.image_prompts.prompt import ImagePrompt
from jdart.models.build import Base


@dataclass(frozen=True, eq=False)
class Sketch:
    """A batch at rest part of the way, and what it would become, (S, S, 3) uint8 each, as the network sees it now."""

    batch: Batch
    previews: list[np.ndarray]

    def drawn(self, rows: Sequence[int]) -> list[tuple[Request, np.ndarray]]:
        """The requests of these rows with their pictures, drawn to the end; the others are given up."""
        with jt.no_grad():
            if len(rows) == 0:
                return []
            if len(rows) < len(self.previews):
                self.batch.keep(rows)
            self.batch.advance()
            return list(zip(self.batch.requests, self.batch.pictures()))


def sketch(
    base: Base,
    requests: Sequence[Request],
    settings: GenerateConfig,
    size: int,
    average: np.ndarray | None,
    pictures: Mapping[str, np.ndarray],
    at: float,
    images: ImagePrompt | None = None,
) -> list[Sketch]:
    """Draw as `draw` does, to the share `at` of the steps: (0, 1). The networks must be the same when a sketch goes on.

    The branches of StyleBlend cannot rest.
    """
    with jt.no_grad():
        seen: list[jt.Var] = []

        def look(x0: jt.Var, share: float) -> jt.Var:
            seen[:] = [x0]
            return x0

        easel = Easel(base, requests, settings, size, average, pictures, [look], images)
        steps = min(max(1, round(at * easel.plan.calls)), easel.plan.calls - 1)
        sketches = []
        for some in batches_of(requests, settings.batch_size):
            batch = easel.batch(some, None)
            batch.advance(steps)
            sketches.append(Sketch(batch, decoded(base.vae, seen[0])))
        return sketches
