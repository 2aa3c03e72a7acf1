"""LPIPS: how far brushwork and texture are apart, over all pairs of a style's references and outputs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

from evaluator.backbones.squeezenet import SqueezeNet
from evaluator.metrics.base import Batch, Figures, Metric, mean_of_means


def maps_to_energy(maps: Sequence[Tensor], heads: Sequence[Tensor]) -> Tensor:
    """Seven maps N,C,H,W and heads C -> N float64: sum over layers of the mean over places of <w, a^2>."""
    return maps_to_product(maps, maps, heads)


def maps_to_product(maps: Sequence[Tensor], others: Sequence[Tensor], heads: Sequence[Tensor]) -> Tensor:
    """Mean over places of <w, a b>, summed over the seven layers.

    Maps N,C,H,W each, others N,C,H,W or 1,C,H,W, heads C -> N float64.
    """
    total = torch.zeros(len(maps[0]), dtype=torch.float64, device=maps[0].device)
    for a, b, head in zip(maps, others, heads):
        places = a.shape[2] * a.shape[3]
        total += (a * b).sum((2, 3)).double() @ head.double() / places
    return total


class Lpips(Metric):
    """Mean over references, then pictures, then styles. Source: `lpips_api.py` and torchmetrics 1.4.

    Separable, so that no pair is formed: mean_j w|a - b_j|^2 = w a^2 + mean_j w b_j^2 - 2 w <a, mean_j b_j>.
    Only the mean maps of the style at hand are held (8.8 MB).
    """

    key = "lpips"

    def __init__(self, network: SqueezeNet) -> None:
        self._network = network
        self._style: str | None = None
        self._seen = 0
        self._sums: list[Tensor] = []
        self._energy = 0.0
        self._images: dict[str, dict[str, float]] = defaultdict(dict)

    def see_references(self, batch: Batch) -> None:
        maps = self._network.features(batch.pixels)
        sums = [x.sum(0, keepdim=True) for x in maps]
        energy = float(maps_to_energy(maps, self._network.heads).sum())
        if batch.style == self._style:
            self._seen += len(batch.pixels)
            self._sums = [total + more for total, more in zip(self._sums, sums)]
            self._energy += energy
        else:
            self._style, self._seen, self._sums, self._energy = batch.style, len(batch.pixels), sums, energy

    def see_outputs(self, batch: Batch) -> None:
        if batch.style != self._style:
            raise ValueError(f"the references of style {batch.style} have not been seen")
        maps, heads = self._network.features(batch.pixels), self._network.heads
        crossed = maps_to_product(maps, [total / self._seen for total in self._sums], heads)
        distances = maps_to_energy(maps, heads) + self._energy / self._seen - 2 * crossed
        self._images[batch.style].update(zip(batch.names, distances.tolist()))

    def figures(self) -> Figures:
        return mean_of_means(self.key, self._images)
