"""Settings that trade time for memory. Tiles change a picture faintly at seams, the others by rounding at most.

`storage_dtype` is the term of diffusers' layerwise casting. A base whose files are in float16 is computed with the same
numbers then; of others the weights are rounded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional  # Python 3.9 evaluates the annotations of fields: no `X | None` in them

from jdart.config.problem import check
from jdart.config.said import LATER

STORAGE = ("float32", "float16")


@dataclass(frozen=True)
class MemoryConfig:
    """Less memory, step by step; docs/memory.md says what each buys."""

    gradient_checkpointing: bool = False  # compute the UNet's blocks again in the backward pass
    attention_slice: Optional[int] = None  # queries at a time, where attention is not computed by a fused kernel
    vae_tile: Optional[int] = None  # pixels of a side; the autoencoder sees overlapping tiles of this size
    storage_dtype: str = field(default="float32", metadata=LATER)  # of the base's weights in memory

    def __post_init__(self) -> None:
        check(
            self.attention_slice is None or self.attention_slice >= 1,
            f"attention_slice: {self.attention_slice} is below 1; use null for all queries at once",
        )
        known = self.storage_dtype in STORAGE
        check(known, f"storage_dtype: {self.storage_dtype!r} is unknown; use {' or '.join(STORAGE)}")
        good = self.vae_tile is None or (self.vae_tile >= 64 and self.vae_tile % 32 == 0)
        check(good, f"vae_tile: {self.vae_tile} is not a multiple of 32 from 64 on; use null for no tiles")
