"""Settings that trade time for memory. Tiles change a picture faintly at seams, the others by rounding at most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional  # Python 3.9 evaluates the annotations of fields: no `X | None` in them

from jdart.config.problem import check


@dataclass(frozen=True)
class MemoryConfig:
    """Less memory, step by step; docs/memory.md says what each buys."""

    gradient_checkpointing: bool = False  # compute the UNet's blocks again in the backward pass
    attention_slice: Optional[int] = None  # queries at a time, where attention is not computed by a fused kernel
    vae_tile: Optional[int] = None  # pixels of a side; the autoencoder sees overlapping tiles of this size

    def __post_init__(self) -> None:
        check(
            self.attention_slice is None or self.attention_slice >= 1,
            f"attention_slice: {self.attention_slice} is below 1; use null for all queries at once",
        )
        good = self.vae_tile is None or (self.vae_tile >= 64 and self.vae_tile % 32 == 0)
        check(good, f"vae_tile: {self.vae_tile} is not a multiple of 32 from 64 on; use null for no tiles")
