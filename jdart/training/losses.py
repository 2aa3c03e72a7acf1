"""Losses beside the mean squared error."""

from __future__ import annotations

from collections.abc import Sequence

import jittor as jt
import numpy as np

from jdart.models.networks.vae import VAE


def gram_matrices(vae: VAE, latents: jt.Var) -> list[jt.Var]:
    """Gram matrices F F^T / (CHW) of what the VAE's encoder sees in decoded latents, (B, C, C) after each down block.

    Latents are no pixels, and the encoder looks at pixels: the frozen decoder stands between them.
    """
    x = vae.encoder.conv_in(vae.decode(latents))
    grams = []
    for block in vae.encoder.down_blocks:
        x = block(x)
        batch, channels, height, width = x.shape
        features = x.reshape((batch, channels, -1))  # B,C,HW
        grams.append(jt.nn.bmm_transpose(features, features) / (channels * height * width))
    return grams


def style_loss(vae: VAE, predicted: jt.Var, clean: np.ndarray, rows: Sequence[int]) -> jt.Var:
    """Sum of |G(predicted x0) - G(x)|^2 over the Gram matrices of `rows` of a batch (Gatys et al., 1508.06576).

    One row at a time: memory stays that of one picture, whatever the batch and the timesteps drawn.
    """
    total = jt.zeros((1,))
    for row in rows:
        with jt.no_grad():
            wanted = [gram.stop_grad() for gram in gram_matrices(vae, jt.array(clean[row : row + 1]))]
        for found, gram in zip(gram_matrices(vae, predicted[row : row + 1]), wanted):
            difference = found - gram
            total = total + (difference * difference).sum()
    return total
