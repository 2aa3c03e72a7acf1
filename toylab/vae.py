"""The toy autoencoder: SD's network at a hundredth of its size, 64 x 64 pixels to 4 x 16 x 16."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn import functional as F

from jdart.models.presets import SD_VAE
from toylab.loop import learn
from toylab.pictures import scenes, to_array

CONFIG: dict[str, Any] = {
    **SD_VAE,
    "block_out_channels": [16, 32, 64],
    "down_block_types": ["DownEncoderBlock2D"] * 3,
    "up_block_types": ["UpDecoderBlock2D"] * 3,
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "sample_size": 64,
    "scaling_factor": 1.0,
}
POOL, TREATED = 20_000, 0.5
STEPS, BATCH, RATE = 3600, 8, 1.5e-3


def train(work: Path, seed: int) -> AutoencoderKL:
    """The autoencoder, trained and with latents of mean 0 and variance 1 a channel."""
    torch.manual_seed(seed)
    vae = AutoencoderKL.from_config(CONFIG)

    @cache
    def pool() -> np.ndarray:
        return to_array([one.picture for one in scenes(seed, POOL, TREATED)])

    def loss(rng: np.random.Generator, numbers: torch.Generator) -> Tensor:
        batch = as_input(pool()[rng.integers(POOL, size=BATCH)])
        posterior = vae.encode(batch).latent_dist
        latents = posterior.mean + posterior.std * torch.randn(posterior.mean.shape, generator=numbers)
        return (
            reconstruction(vae.decode(latents).sample.float(), batch)
            + 1e-4 * posterior.kl().float().mean() / latents[0].numel()
        )

    learn(vae, loss, work / "vae.pt", STEPS, RATE, seed, decay=0.998)
    _standardise(vae, to_array([one.picture for one in scenes(seed, 2000, TREATED)]))
    return vae


def as_input(pictures: np.ndarray) -> Tensor:
    """Bytes to numbers from -1 to 1."""
    return torch.from_numpy(pictures).float() / 127.5 - 1


def reconstruction(drawn: Tensor, meant: Tensor) -> Tensor:
    """Pixels, edges and the colour of 8 x 8 patches."""
    edges = sum(((drawn - meant).diff(dim=axis)).abs().mean() for axis in (2, 3))
    colour = F.mse_loss(F.avg_pool2d(drawn, 8), F.avg_pool2d(meant, 8))
    return F.l1_loss(drawn, meant) + F.mse_loss(drawn, meant) + 0.5 * edges + 2 * colour


@torch.no_grad()
def encode(vae: AutoencoderKL, pictures: np.ndarray) -> Tensor:
    """The means of the latents, B,4,16,16."""
    return torch.cat(
        [vae.encode(as_input(some)).latent_dist.mean for some in np.array_split(pictures, len(pictures) // 100 + 1)]
    )


@torch.no_grad()
def decode(vae: AutoencoderKL, latents: Tensor) -> np.ndarray:
    """B,4,16,16 -> B,3,64,64 bytes."""
    drawn = torch.cat([vae.decode(some).sample for some in latents.split(100)])
    return ((drawn.clamp(-1, 1) + 1) * 127.5).round().byte().numpy()


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """Decibels between two sets of pictures of bytes."""
    error = np.square(one.astype(np.float64) - other).mean()
    return float(10 * np.log10(255**2 / error))


@torch.no_grad()
def _standardise(vae: AutoencoderKL, pictures: np.ndarray) -> None:
    """Fold (latent - mean) / deviation into the two 1 x 1 convolutions about the latents."""
    latents = encode(vae, pictures)
    mean, deviation = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    halves = 2  # quant_conv gives means, then logarithms of variances
    before, after = vae.quant_conv, vae.post_quant_conv
    before.weight[:4] /= deviation[:, None, None, None]
    before.bias[:4] = (before.bias[:4] - mean) / deviation
    before.bias[4:] -= halves * deviation.log()
    after.bias += (after.weight[:, :, 0, 0] * mean).sum(1)
    after.weight *= deviation[None, :, None, None]
