"""A training loop that stops and goes on: the same seed gives the same weights, in one sitting or in several."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor, nn

from contest.disk.files import atomic_write

Watch = Callable[[int, nn.Module], None]
Loss = Callable[[np.random.Generator, torch.Generator], Tensor]
SAVE_EVERY = 60.0  # seconds
REPORT_EVERY = 100  # steps
WARM_UP = 100  # steps
WATCH_EVERY = 1000  # steps


def learn(
    network: nn.Module,
    loss: Loss,
    place: Path,
    steps: int,
    rate: float,
    seed: int,
    decay: float = 0.0,
    watch: Watch | None = None,
) -> None:
    """Train `network` for `steps` steps of AdamW; `loss` draws a batch from the two generators and gives its loss.

    The rate rises for 100 steps and falls as half a cosine. With `decay` the network ends as the moving average of its
    weights. The state lies in `place`; a stopped run goes on from
    there, and a finished one is only loaded. `watch` is shown the average from time to time, and may raise.
    """
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, betas=(0.9, 0.99), weight_decay=0.01)
    average = copy.deepcopy(network).requires_grad_(False) if decay else network
    done = _resume(place, network, average, optimizer)
    seen, saved, begun, first = 0.0, time.monotonic(), time.monotonic(), done
    network.train()
    for step in range(done, steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * step / steps))
        numbers = torch.Generator().manual_seed(seed * 1_000_003 + step)
        value = loss(np.random.default_rng([seed, step]), numbers)
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        if decay:
            _follow(average, network, min(decay, (step + 1) / (step + 10)))
        seen += float(value.detach())
        if (step + 1) % REPORT_EVERY == 0:
            pace = (time.monotonic() - begun) / (step + 1 - first)
            left = (steps - step - 1) * pace / 60
            at = f"{place.stem} {step + 1}/{steps}"
            click.echo(f"{at} loss {seen / REPORT_EVERY:.4f} {pace:.3f} s/step {left:.0f} min left")
            seen = 0.0
        if time.monotonic() - saved > SAVE_EVERY or step + 1 == steps:
            _save(place, network, average, optimizer, step + 1)
            saved = time.monotonic()
        if watch is not None and (step + 1) % WATCH_EVERY == 0:
            watch(step + 1, average.eval())
    network.load_state_dict(average.state_dict())
    network.eval()


@torch.no_grad()
def _follow(average: nn.Module, network: nn.Module, weight: float) -> None:
    for kept, now in zip(average.state_dict().values(), network.state_dict().values()):
        kept.lerp_(now, 1 - weight) if kept.is_floating_point() else kept.copy_(now)


def _save(place: Path, network: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
    state = {
        "network": network.state_dict(),
        "average": average.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
    }
    with atomic_write(place, "wb") as out:
        torch.save(state, out)


def _resume(place: Path, network: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Steps that are done already."""
    if not place.is_file():
        return 0
    state = torch.load(place, weights_only=True)
    network.load_state_dict(state["network"])
    average.load_state_dict(state["average"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Say when a stage begins and how long it took."""
    click.echo(f"== {name}")
    begun = time.monotonic()
    yield
    click.echo(f"== {name}: {(time.monotonic() - begun) / 60:.1f} min")
