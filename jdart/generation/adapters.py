"""LoRA files with weights, merged into a base for as long as pictures are drawn with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from contest.errors import UserError
from jdart.lora.formats.names import NETWORKS
from jdart.lora.formats.reading import load_lora
from jdart.lora.merge import merged, weights
from jdart.lora.noise_ranks import Falling, merged_by_noise
from jdart.lora.rank_by_noise import rule_of
from jdart.models.build import Base


@dataclass(frozen=True)
class Adapter:
    """A LoRA file and how much of it is added."""

    path: Path
    weight: float = 1.0


@contextmanager
def adapted(base: Base, adapters: Sequence[Adapter]) -> Iterator[None]:
    """Add every adapter to the UNet and the text encoder; the very same weights are back after the block.

    One after the other, as PEFT does it: a DoRA takes its norms with the base's own weights, and multiplies what was
    added before it too. Among plain LoRAs the order makes no difference but in the last digits. UserError names the
    file that does not fit the base. Those whose rank falls with the noise come last.
    """
    plain = {network: weights(getattr(base, network)) for network in NETWORKS}
    falling: list[Falling] = []
    with ExitStack() as stack:
        for adapter in adapters:
            lora = load_lora(adapter.path)
            rule, pairs = rule_of(lora.settings, adapter.path), dict(lora.pairs)
            if rule is not None:
                falling.append(Falling(adapter.path, pairs.pop("unet"), adapter.weight, rule))
            try:
                for network, own in pairs.items():
                    stack.enter_context(merged(getattr(base, network), own, adapter.weight, plain[network]))
            except UserError as error:
                raise UserError(f"{adapter.path}: {error}") from error
        stack.enter_context(merged_by_noise(base.unet, falling, base.schedule.num_train_timesteps))
        yield
