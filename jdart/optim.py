"""AdamW and gradient clipping for jittor variables.

Jittor's own optimiser counts every backward pass as a step, so that its bias correction is off as soon as gradients are
accumulated; here only `step` counts.
"""

from __future__ import annotations

from collections.abc import Sequence

import jittor as jt


class AdamW:
    """Decoupled weight decay, as torch.optim.AdamW computes it (Loshchilov and Hutter, 1711.05101)."""

    def __init__(
        self,
        parameters: Sequence[jt.Var],
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ):
        self.parameters = list(parameters)
        self.betas, self.eps, self.weight_decay = betas, eps, weight_decay
        self.steps = 0
        self.means = [jt.zeros(p.shape).stop_grad() for p in self.parameters]
        self.squares = [jt.zeros(p.shape).stop_grad() for p in self.parameters]

    @property
    def state(self) -> list[jt.Var]:
        """First and second moments, in the order of the parameters."""
        return [*self.means, *self.squares]

    def step(self, gradients: Sequence[jt.Var], learning_rates: Sequence[float]) -> None:
        """Update every parameter in place; gradients and rates in the order of the parameters."""
        self.steps += 1
        beta1, beta2 = self.betas
        root2 = (1 - beta2**self.steps) ** 0.5
        root1 = 1 - beta1**self.steps
        for p, g, m, v, rate in zip(self.parameters, gradients, self.means, self.squares, learning_rates):
            m.update(m * beta1 + g * (1 - beta1))
            v.update(v * beta2 + g * g * (1 - beta2))
            p.update(p * (1 - rate * self.weight_decay) - m / (jt.sqrt(v) / root2 + self.eps) * (rate / root1))


def clip_by_norm(gradients: Sequence[jt.Var], max_norm: float | None) -> tuple[list[jt.Var], jt.Var]:
    """Scale all gradients together so that their common 2-norm is at most `max_norm` (None: leave them).

    Returns the gradients and the norm before clipping, as torch.nn.utils.clip_grad_norm_ computes it.
    """
    total = jt.sqrt(jt.concat([(g * g).sum().reshape((1,)) for g in gradients]).sum())
    if max_norm is None:
        return list(gradients), total
    factor = jt.minimum(max_norm / (total + 1e-6), jt.array(1.0))
    return [g * factor for g in gradients], total
