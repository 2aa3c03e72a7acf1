"""Gradient checkpointing: keep a block's input instead of all that is inside it, and compute the block again backwards.

Source: Chen et al., Training Deep Nets with Sublinear Memory Cost, 1604.06174. The blocks are those of diffusers, every
residual block and every transformer of the UNet, and also its changes of size: Jittor recognises the gradient of a
convolution only where nothing else is computed together with it, and else unrolls it into 9 x channels feature maps.
What attention gave is kept: it takes little memory beside the work.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import jittor as jt
from jittor import nn

from jdart.models.kernels.kept import Tape
from jdart.models.networks.layers import Downsample2D, ResnetBlock2D, Upsample2D
from jdart.models.networks.unet_blocks import Transformer2D
from jdart.models.paths import exchanged

BLOCKS = (ResnetBlock2D, Transformer2D, Downsample2D, Upsample2D)


def recomputed(network: Any) -> AbstractContextManager[None]:
    """Gradient checkpointing in `network` (a UNet) for the length of a block; results and gradients stay the same."""
    blocks = {name: module for name, module in network.named_modules() if isinstance(module, BLOCKS)}
    return exchanged(network, {name: Recomputed(block) for name, block in blocks.items()})


class Recomputed(nn.Module):
    """A module that keeps nothing but its arguments for the backward pass. Same arguments and result.

    Arguments that are no jt.Var, such as a size, are settings.
    """

    def __init__(self, module: nn.Module):
        self.module = module

    def execute(self, *arguments: Any) -> jt.Var:
        trained = [parameter for parameter in self.module.parameters() if not parameter.is_stop_grad()]
        return _Recompute.apply(self.module, trained, *trained, *arguments)


class _Recompute(jt.Function):
    """Forward without a graph; backward through a graph made anew.

    Trained parameters are arguments, so that they get gradients. Jittor is lazy: without the syncs it would compute all
    blocks again before it needed the first, and nothing would be saved.
    """

    def execute(self, module: nn.Module, parameters: list[jt.Var], *values: Any) -> jt.Var:
        self.module, self.parameters, self.arguments = module, parameters, values[len(parameters) :]
        self.seed = jt.get_seed() + 1  # every block has a seed of its own, so that it can drop the same values twice
        jt.set_seed(self.seed)
        self.tape = Tape()
        with jt.no_grad(), self.tape.recording():
            result = module(*self.arguments)
            result.sync()
        return result

    def grad(self, gradient: jt.Var) -> tuple[jt.Var | None, ...]:
        gradient.sync()
        arguments = [_apart(value) for value in self.arguments]
        jt.set_seed(self.seed)
        with self.tape.playing():
            result = self.module(*arguments)
        result.sync()
        sources = [*self.parameters, *arguments]
        wanted = [value for value in sources if _asks(value)]
        found = jt.grad((result * gradient.detach()).sum(), wanted)
        jt.sync(found)
        gradients = iter([value.detach() for value in found])
        return (None, None, *[next(gradients) if _asks(value) else None for value in sources])


def _asks(value: Any) -> bool:
    """Whether it takes a gradient."""
    return isinstance(value, jt.Var) and not value.is_stop_grad()


def _apart(value: Any) -> Any:
    """The same numbers, outside the graph they came from."""
    if not isinstance(value, jt.Var):
        return value
    copy = value.detach()
    if _asks(value):
        copy.start_grad()
    return copy
