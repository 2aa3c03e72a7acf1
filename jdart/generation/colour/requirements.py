"""What a style's pictures and a base must have for the settings of colour; known before anything is computed."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from jdart.config import GenerateConfig
from jdart.generation.colour.finish import require_colours
from jdart.generation.colour.leak import require_coefficients


def require_colourable(settings: GenerateConfig, side: int, style: str, pictures: Iterable[np.ndarray]) -> None:
    """UserError for references of one colour, and for fewer latent pixels than a signal leak has coefficients.

    `pictures` (S, S, 3) uint8 are the style's, looked at as far as is needed; their latents have `side` pixels.
    """
    if settings.start is not None and settings.start.leak == "dct":
        require_coefficients(side, side)
    if settings.colour is None:
        return
    asked = [name for name in ("transport", "guidance", "finish") if getattr(settings.colour, name) is not None]
    if asked:
        require_colours(pictures, f"generate.colour.{asked[0]}: style {style}")
