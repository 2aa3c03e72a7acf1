"""AdamW and gradient clipping for jittor variables.

Jittor's own optimiser counts every backward pass as a step, so that its bias correction is off as soon as gradients are
accumulated; here only `step` counts. Adapters are hundreds of small matrices: laid end to end in one vector they
take a handful of kernels a step instead of a thousand.
"""

from __future__ import annotations

from collections.abc import Sequence

import jittor as jt
import numpy as np

ROW = 1024  # numbers that are summed at a time: one long float32 sum over a large LoRA would be some per cent off


def flatten(variables: Sequence[jt.Var]) -> jt.Var:
    """All numbers of `variables` in one vector, filled up with zeros to a multiple of ROW."""
    parts = [variable.reshape((-1,)) for variable in variables]
    return jt.concat([*parts, jt.zeros((-sum(part.numel() for part in parts) % ROW,))])


def pieces(flat: jt.Var, like: Sequence[jt.Var]) -> list[jt.Var]:
    """The inverse of `flatten`: parts of `flat` in the shapes of `like`."""
    ends = np.cumsum([variable.numel() for variable in like]).tolist()
    return [flat[end - one.numel() : end].reshape(one.shape) for one, end in zip(like, ends)]


class AdamW:
    """Decoupled weight decay, as torch.optim.AdamW computes it (Loshchilov and Hutter, 1711.05101).

    `learning_rates` are in the order of the parameters. `values`, `means` and `squares` are flat.
    """

    def __init__(
        self,
        parameters: Sequence[jt.Var],
        learning_rates: Sequence[float],
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ):
        self.parameters = list(parameters)
        self.betas, self.eps, self.weight_decay = betas, eps, weight_decay
        self.steps = 0
        self.values = flatten(self.parameters).stop_grad()
        rates = np.repeat(learning_rates, [parameter.numel() for parameter in self.parameters]).astype(np.float32)
        self.rates = jt.array(np.pad(rates, (0, self.values.numel() - len(rates)))).stop_grad()
        self.means = jt.zeros(self.values.shape).stop_grad()
        self.squares = jt.zeros(self.values.shape).stop_grad()
        jt.sync([self.values, self.rates, self.means, self.squares])

    def step(self, gradient: jt.Var, factor: float = 1.0) -> None:
        """Update every parameter in place, at `factor` times its learning rate; `gradient` is flat."""
        self.steps += 1
        beta1, beta2 = self.betas
        root2 = (1 - beta2**self.steps) ** 0.5
        root1 = 1 - beta1**self.steps
        m, v, p, rates = self.means, self.squares, self.values, self.rates * factor
        m.update(m * beta1 + gradient * (1 - beta1))
        v.update(v * beta2 + gradient * gradient * (1 - beta2))
        p.update(p * (1 - rates * self.weight_decay) - m / (jt.sqrt(v) / root2 + self.eps) * (rates / root1))
        self.assign(p)

    def assign(self, flat: jt.Var) -> None:
        """Give every parameter its part of `flat`; `values` stay as they are."""
        for parameter, piece in zip(self.parameters, pieces(flat, self.parameters)):
            parameter.update(piece)


def clip_by_norm(gradient: jt.Var, max_norm: float | None) -> tuple[jt.Var, jt.Var]:
    """Scale a flat gradient so that its 2-norm is at most `max_norm` (None: leave it).

    Returns the gradient and the norm before clipping, as torch.nn.utils.clip_grad_norm_ computes it.
    """
    total = jt.sqrt((gradient * gradient).reshape((-1, ROW)).sum(1).sum())
    if max_norm is None:
        return gradient, total
    return gradient * jt.minimum(max_norm / (total + 1e-6), jt.array(1.0)), total
