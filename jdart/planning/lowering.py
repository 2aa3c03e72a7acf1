"""What lowers the memory of a run, in the order of its price; docs/memory.md has the figures."""

from __future__ import annotations

from jdart.config import Config

TILE = 384  # pixels; pictures up to this size are one tile
SLICE = 1024  # queries


def ways_to_lower(config: Config, cuda: bool) -> list[str]:
    """The settings that are still left, the cheapest first: what costs nothing, then time, then the result itself.

    `cuda`: the run is on a GPU, where attention holds all logits; on the CPU slices of it lower nothing.
    """
    train, memory, ways = config.train, config.memory, []
    if config.generate.batch_size > 1:
        ways.append("generate.batch_size=1")
    if cuda and memory.attention_slice is None:
        ways.append(f"memory.attention_slice={SLICE}")
    if memory.storage_dtype == "float32":
        ways.append("memory.storage_dtype=float16")
    if not memory.gradient_checkpointing:
        ways.append("memory.gradient_checkpointing=true")
    if train.batch_size > 1:
        steps = train.batch_size * train.gradient_accumulation_steps
        ways.append(f"train.batch_size=1 with train.gradient_accumulation_steps={steps}")
    if memory.vae_tile is None and config.data.size > TILE:
        ways.append(f"memory.vae_tile={TILE}")
    if config.text_encoder_lora.r > 0:
        ways.append("text_encoder_lora.r=0 (another result)")
    ways.append("a smaller data.size or base (another result)")
    return ways
