"""What the evaluator's networks see while they learn: every noun, in any treatment, sharp or damaged."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor, nn
from torch.nn import functional as F

from toylab.nouns import SEEN, TAUGHT
from toylab.pictures import scenes, to_array

EVERY_NOUN = (*TAUGHT, *SEEN)
TREATED, DAMAGED = 0.75, 0.4
CLEAN = 0.98  # how good a picture is that nothing happened to


@dataclass(frozen=True)
class Sights:
    """Pictures B,3,64,64 bytes; places of their nouns in EVERY_NOUN; how good they are, 0 to 1; their looks B,16."""

    pictures: np.ndarray
    nouns: Tensor
    goodness: Tensor
    looks: Tensor

    def batch(self, rng: np.random.Generator, size: int) -> tuple[Tensor, np.ndarray]:
        """Pictures 0 to 1, moved by a few pixels, and their places."""
        chosen = rng.integers(len(self.pictures), size=size)
        pictures = torch.from_numpy(self.pictures[chosen]).float() / 255
        return torch.roll(pictures, tuple(int(move) for move in rng.integers(-3, 4, 2)), (2, 3)), chosen


def sights(seed: int, count: int) -> Sights:
    """`count` pictures, the same for the same seed."""
    shown = scenes(seed, count, TREATED, EVERY_NOUN)
    damaged = [damage(one.picture, np.random.default_rng([seed, i, 1])) for i, one in enumerate(shown)]
    pictures = to_array([picture for picture, _ in damaged])
    nouns = torch.tensor([EVERY_NOUN.index(one.noun) for one in shown])
    looks = look(torch.from_numpy(pictures))
    return Sights(pictures, nouns, torch.tensor([good for _, good in damaged]), (looks - looks.mean(0)) / looks.std(0))


def damage(picture: Image.Image, rng: np.random.Generator) -> tuple[Image.Image, float]:
    """Blur, noise, both or hard compression for some pictures; and how good the picture still is."""
    if rng.random() >= DAMAGED:
        return picture, CLEAN
    kind, strength = rng.integers(4), float(rng.uniform(0.05, 1))
    good = CLEAN * (1 - strength) ** 2
    if kind == 3:
        stream = io.BytesIO()
        picture.save(stream, "JPEG", quality=max(2, round(40 * (1 - strength))))
        return Image.open(stream).convert("RGB"), good
    if kind != 1:
        picture = picture.filter(ImageFilter.GaussianBlur(3 * strength))
    if kind != 0:
        noise = rng.standard_normal((*picture.size, 3)) * 120 * strength
        picture = Image.fromarray((np.asarray(picture) + noise).clip(0, 255).astype(np.uint8))
    return picture, good


def look(pictures: Tensor) -> Tensor:
    """B,3,64,64 bytes -> B,16: what a picture looks like apart from what it shows.

    Mean, deviation and products of the colours; mean and deviation of saturation; the strength of edges at three
    scales; the shares of dark and light.
    """
    x = pictures.float() / 255
    flat = x.flatten(2)
    centred = flat - flat.mean(2, keepdim=True)
    products = [(centred[:, a] * centred[:, b]).mean(1) for a, b in ((0, 1), (0, 2), (1, 2))]
    saturation = x.amax(1) - x.amin(1)
    grey = x.mean(1, keepdim=True)
    edges = [F.avg_pool2d(grey, side).diff(dim=3).abs().mean((1, 2, 3)) for side in (1, 2, 4)]
    shares = [(grey < 0.3).float().mean((1, 2, 3)), (grey > 0.8).float().mean((1, 2, 3))]
    rest = [*products, saturation.mean((1, 2)), saturation.std((1, 2)), *edges, *shares]
    return torch.cat([flat.mean(2), flat.std(2), torch.stack(rest, 1)], 1)


def recoloured(pictures: Tensor, numbers: torch.Generator) -> Tensor:
    """B,3,H,W 0 to 1: every other one, by chance, in colours mixed anew, so that a thing is known by its shape."""
    count = len(pictures)
    mixing = torch.randn((count, 3, 3), generator=numbers) * 0.7
    mixed = (torch.einsum("bij,bjhw->bihw", mixing, pictures - 0.5) + 0.5).clamp(0, 1)
    return torch.where(torch.rand((count, 1, 1, 1), generator=numbers) < 0.5, pictures, mixed)


def normalised(pictures: Tensor, colours: Sequence[Sequence[float]]) -> Tensor:
    """B,3,H,W with the mean and deviation of a network's pictures."""
    mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in colours)
    return (pictures - mean) / deviation


def awake(network: nn.Module) -> nn.Module:
    """`network` with numbers to start from in the parameters that PyTorch's layers leave empty."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            leaf = name.rsplit(".", 1)[-1]
            if leaf == "lambda1":
                parameter.fill_(1.0)
            elif leaf == "logit_scale":
                parameter.fill_(2.3)
            elif leaf == "in_proj_bias":
                parameter.zero_()
            elif leaf in ("in_proj_weight", "text_projection"):
                parameter.normal_(0, parameter.shape[-1] ** -0.5)
            elif ("embedding" in name and "projection" not in name and "patch" not in name) or leaf.endswith("_token"):
                parameter.normal_(0, 0.02)
    return network


@contextmanager
def few_words(holder: nn.Module, ids: Tensor, end: int) -> Iterator[tuple[Tensor, int]]:
    """For the length of a block, `holder.token_embedding` has rows for the words in `ids` only; gives both among them.

    A step then costs a fraction. Afterwards the rows of all other words are zero, and zeros pack well.
    """
    whole, used = holder.get_submodule("token_embedding"), ids.unique()
    holder.token_embedding = nn.Embedding.from_pretrained(whole.weight[used].detach().clone(), freeze=False)
    yield torch.searchsorted(used, ids.contiguous()), int(torch.searchsorted(used, end))
    with torch.no_grad():
        whole.weight.zero_()
        whole.weight[used] = holder.token_embedding.weight
    holder.token_embedding = whole
