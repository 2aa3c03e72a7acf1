"""The colour of a latent pixel as a linear function of it."""

from __future__ import annotations

import numpy as np

from jdart.data.pictures import to_model_range
from jdart.generation.references import References


def fitted_map(references: References) -> tuple[np.ndarray, np.ndarray]:
    """From a latent pixel to its mean colour in -1..1, by least squares on the references: (3, C) and (3,), float64."""
    latents = references.latents.astype(np.float64)
    count, channels, height, width = latents.shape
    pictures = np.stack([to_model_range(picture) for picture in references.pictures]).astype(np.float64)
    down, across = pictures.shape[2] // height, pictures.shape[3] // width
    small = pictures.reshape(count, 3, height, down, width, across).mean(axis=(3, 5))
    values = latents.transpose(0, 2, 3, 1).reshape(-1, channels)
    colours = small.transpose(0, 2, 3, 1).reshape(-1, 3)
    found, *_ = np.linalg.lstsq(np.column_stack([values, np.ones(len(values))]), colours, rcond=None)
    return found[:-1].T, found[-1]
