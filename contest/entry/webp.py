"""Whether Pillow can read and write WebP, the format of every small picture."""

from __future__ import annotations

from functools import lru_cache

from contest.errors import UserError


@lru_cache(maxsize=1)
def require_webp() -> None:
    """UserError: it cannot, and without this would show grey or end in a KeyError."""
    from PIL import features

    if not features.check("webp"):
        raise UserError(
            "Pillow cannot load its WebP library: give more memory, or install a build with it "
            "(pip install --force-reinstall pillow)"
        )
